// One result beside what it was made from: shown whole, and a slider wipes from the one to the other.

const MEANING = (other) => `How far a face recogniser finds the completed face from ${other}: `
  + "up to the threshold it takes both for the same person";

const render = ({ model, el }) => {
  el.classList.add("fi-result");
  let gone = false, root = null;
  // Left of the edge: the original or the masked picture, all of it at 100, nothing at 0. Two results beside each other
  // are looked at alike.
  const look = { left: "original", extent: "crop", at: 0 };
  let peeking = false; // at the original, while its key is held
  let shown = ""; // number and extent
  // What is not saved yet, of all frames: a page of its own asks before it is left. JupyterLab asks by itself.
  const results = () => ((root ?? el).results ??= { seen: new Set(), unsaved: new Set() });
  const leave = (event) => { if (results().unsaved.size && !root?.leaving) event.preventDefault(); };
  if (!inNotebook()) window.addEventListener("beforeunload", leave);
  const change = (what) => {
    if (root) root.dispatchEvent(new CustomEvent("fi-look", { detail: what }));
    else looked({ detail: what });
  };
  const looked = ({ detail }) => {
    Object.assign(look, detail);
    if ("at" in detail) wipe();
    else show();
  };

  const group = (parent, key, label, values) => {
    const box = make("div", `fi-choice fi-${key}`, { role: "group", "aria-label": label }, parent);
    const all = values.map(([value, text, title]) =>
      [value, button(box, `fi-${value}`, text, title, () => change({ [key]: value }))]);
    return () => all.forEach(([value, one]) => one.setAttribute("aria-pressed", value === look[key]));
  };
  const head = make("div", "fi-bar", {}, el);
  const title = make("h3", "fi-title", {}, head);
  const markLeft = group(head, "left", "Left of the slider", [
    ["original", "Original", "Compare with the original"], ["masked", "Masked", "Compare with what was visible"],
  ]);
  const board = make("div", "fi-board fi-wipe", {}, el);
  const sheet = make("div", "fi-sheet", {}, board);
  const after = make("img", "fi-after", { alt: "completed face", draggable: "false" }, sheet);
  after.addEventListener("load", () => formed(sheet, after.naturalWidth, after.naturalHeight));
  const finerAfter = finerOver(sheet);
  const former = make("div", "fi-former", {}, sheet);
  const before = make("img", "fi-before", { alt: "", draggable: "false" }, former);
  const finerBefore = finerOver(former);
  const edge = make("div", "fi-edge", { "aria-hidden": "true" }, sheet);
  const closer = zoomable(board, sheet, (region) => {
    model.send({ do: "finer", region, ...seen() });
  });
  const seen = () => ({ whole: look.extent === "photo", masked: look.left === "masked" });
  const tag = (name) => make("span", `fi-tag ${name}`, { "aria-hidden": "true" }, board);
  const tags = [tag("fi-tag-left"), tag("fi-tag-right")];
  const hint = make("p", "fi-hint", { text: model.get("hint") }, board);
  const slider = make("input", "fi-slider", { type: "range", min: 0, max: 100, value: 50, step: 1 }, el);
  slider.setAttribute("aria-label", "Wipe between before (left) and result (right)");
  const foot = make("div", "fi-bar fi-foot", {}, el);
  const sentence = make("p", "fi-verdict", { role: "status", "aria-live": "polite" }, foot);
  const acts = make("div", "fi-bar fi-acts", {}, foot);
  const markExtent = group(acts, "extent", "What is shown", [
    ["crop", "Face", "Show the face"], ["photo", "Photo", "Show the whole photo"],
  ]);
  const note = make("p", "fi-note", {}, el);
  button(acts, "fi-go-on", "Go on", "Make this the photo, to mend a flaw or complete another face", () => {
    model.send({ do: "go on" });
  });
  button(acts, "fi-copy", "Copy", "Copy what is shown of the result", () => copy());
  button(acts, "fi-save", "Save photo", "Save the completed photo as PNG, at its full size", () => save());
  const gauge = make("div", "fi-gauge", { role: "img" }, el);
  const needle = make("div", "fi-needle", {}, make("div", "fi-scale", {}, gauge));
  const legend = ["identical", "", "someone else"].map((text) => make("span", "", { text }, gauge));

  const names = ["original", "masked", "completed", "photo_before", "photo_masked", "photo_after", "piece"];
  const urls = {};
  const load = (name) => {
    const bytes = model.get(name);
    if (urls[name]) URL.revokeObjectURL(urls[name]);
    urls[name] = bytes?.byteLength ? URL.createObjectURL(new Blob([bytes])) : "";
  };
  const wipe = () => {
    const at = peeking ? 100 : look.at;
    slider.value = at;
    former.style.clipPath = `inset(0 ${100 - at}% 0 0)`;
    edge.style.left = `${at}%`;
    edge.hidden = at === 0 || at === 100;
    tags[0].hidden = at < 30;
    tags[1].hidden = at > 70;
  };
  const askForFile = saver(model);
  const save = () => {
    if (root?.classList.contains("fi-lost")) return saveWhatIsHere();
    results().unsaved.delete(number());
    askForFile();
  };
  // Without a kernel: the part that was painted, laid over the photo as the page has it; or what is shown, where this
  // browser can't read the photo's file.
  const saveWhatIsHere = async () => {
    const file = urls.piece && root.files?.get(model.get("upload"));
    let canvas = await drawn(file || await blobOf(urls.photo_after)).catch(() => null);
    if (canvas && file) {
      canvas.getContext("2d").drawImage(await createImageBitmap(await blobOf(urls.piece)), ...model.get("place"));
    }
    canvas ??= await drawn(await blobOf(urls.photo_after));
    const saved = await canvas.convertToBlob({ type: "image/png" });
    download({ name: model.get("file_name") }, [await saved.arrayBuffer()]);
    results().unsaved.delete(number());
  };
  const blobOf = async (url) => (await fetch(url)).blob();
  const drawn = async (blob) => {
    const picture = await createImageBitmap(blob), canvas = new OffscreenCanvas(picture.width, picture.height);
    canvas.getContext("2d").drawImage(picture, 0, 0);
    return canvas;
  };
  const copy = async () => {
    try {
      const canvas = await drawn(await blobOf(after.src));
      await navigator.clipboard.write([new ClipboardItem({ "image/png": await canvas.convertToBlob() })]);
      model.send({ do: "say", words: "the result was copied" });
    } catch {
      model.send({ do: "say", words: "this browser does not let a page copy pictures: save it instead" });
    }
  };
  const number = () => `${model.get("number")}`;
  const judge = () => { // the threshold stands in the middle of the scale
    const distance = model.get("distance"), threshold = model.get("threshold");
    sentence.textContent = model.get("sentence");
    note.textContent = model.get("note");
    sentence.dataset.same = model.get("same");
    if (distance === null) return;
    const share = Math.min(1, Math.max(0, (0.5 * distance) / threshold));
    needle.style.left = `calc(${share} * (100% - 12px))`; // 12: its own width
    legend[1].textContent = `threshold ${threshold.toFixed(3)}`;
    gauge.setAttribute("aria-label", `face distance ${distance.toFixed(3)}, the threshold is ${threshold.toFixed(3)}`);
    gauge.title = MEANING(model.get("against") === "reference" ? "the reference" : "the original one");
  };
  const show = () => {
    const there = Boolean(urls.completed), whole = look.extent === "photo", original = look.left === "original";
    el.classList.toggle("fi-blank", !there);
    for (const one of el.querySelectorAll(".fi-bar button")) one.disabled = !there;
    slider.disabled = !there;
    hint.hidden = there;
    title.textContent = model.get("heading");
    for (const one of [edge, former, after, sentence]) one.hidden = !there;
    note.hidden = !there || !model.get("note");
    gauge.hidden = there && model.get("distance") === null;
    board.classList.toggle("fi-whole", there && whole);
    markLeft();
    markExtent();
    for (const one of sheet.querySelectorAll(".fi-finer")) one.hidden = true;
    closer.askAgain();
    if (shown !== `${number()} ${look.extent}`) closer.reset();
    shown = `${number()} ${look.extent}`;
    if (there) {
      if (board.dataset.number !== number()) {
        look.at = 0;
        if (!results().seen.has(number())) results().unsaved.add(number());
        results().seen.add(number());
      }
      before.src = urls[whole ? (original ? "photo_before" : "photo_masked") : look.left];
      before.alt = original ? "original face" : "face with its hole";
      after.src = urls[whole ? "photo_after" : "completed"];
      tags[0].textContent = original ? "original" : "masked";
      tags[1].textContent = "completed";
      board.dataset.number = number();
      judge();
      wipe();
    } else delete board.dataset.number;
  };
  const drag = (event) => {
    if (slider.disabled || event.button > 0 || event.target.closest(".fi-zoom")) return;
    if (event.type === "pointermove" && !board.hasPointerCapture(event.pointerId)) return;
    if (event.type === "pointerdown") board.setPointerCapture(event.pointerId);
    const { left: start, width } = sheet.getBoundingClientRect();
    const at = Math.round((100 * (event.clientX - start)) / width);
    change({ at: Math.min(100, Math.max(0, at)) });
  };
  board.addEventListener("pointerdown", drag);
  board.addEventListener("pointermove", drag);
  slider.addEventListener("input", () => change({ at: Number(slider.value) }));

  model.on("msg:custom", (message, buffers) => {
    const still = Object.entries(seen()).every(([key, value]) => message[key] === value); // a file has neither
    if (still && closer.zoom() > 1) [finerBefore, finerAfter].forEach((lay, number) => lay(buffers[number], message.region));
  });
  model.on("change", () => {
    names.forEach(load);
    show();
  });
  names.forEach(load);
  show();
  const peek = ({ detail }) => {
    peeking = detail;
    wipe();
  };
  studioOf(el, (found) => {
    root = found;
    root.addEventListener("fi-look", looked);
    root.addEventListener("fi-peek", peek);
  }, () => gone);
  return () => {
    gone = true;
    root?.removeEventListener("fi-look", looked);
    root?.removeEventListener("fi-peek", peek);
    window.removeEventListener("beforeunload", leave);
    Object.values(urls).forEach(URL.revokeObjectURL);
  };
};

export default { render };
