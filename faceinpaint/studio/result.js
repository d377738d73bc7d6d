// One result beside what it was made from: a slider wipes from the one to the other.

const MEANING = (other) => `How far a face recogniser finds the completed face from ${other}: `
  + "up to the threshold it takes both for the same person";

const render = ({ model, el }) => {
  el.classList.add("fi-result");
  let gone = false, root = null;
  // Left of the edge: the original or the masked picture, all of it at 100, nothing at 0. Until somebody wipes, the
  // edge goes through the middle of the hole. Two results beside each other are looked at alike.
  const look = { left: "original", extent: "crop", at: null };
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
  const after = make("img", "fi-after", { alt: "completed face", draggable: "false" }, board);
  const before = make("img", "fi-before", { alt: "", draggable: "false" }, board);
  const edge = make("div", "fi-edge", { "aria-hidden": "true" }, board);
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
  button(acts, "fi-save", "Save", "Save the completed photo as PNG", () => model.send({ do: "save" }));
  const gauge = make("div", "fi-gauge", { role: "img" }, el);
  const needle = make("div", "fi-needle", {}, make("div", "fi-scale", {}, gauge));
  const legend = ["identical", "", "someone else"].map((text) => make("span", "", { text }, gauge));

  const names = ["original", "masked", "completed", "photo_before", "photo_masked", "photo_after"];
  const urls = {};
  const load = (name) => {
    const bytes = model.get(name);
    if (urls[name]) URL.revokeObjectURL(urls[name]);
    urls[name] = bytes?.byteLength ? URL.createObjectURL(new Blob([bytes])) : "";
  };
  const wipe = () => {
    const at = look.at ?? model.get("middle");
    slider.value = at;
    before.style.clipPath = `inset(0 ${100 - at}% 0 0)`;
    edge.style.left = `${at}%`;
    tags[0].hidden = at < 30;
    tags[1].hidden = at > 70;
  };
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
    for (const one of el.querySelectorAll("button")) one.disabled = !there;
    slider.disabled = !there;
    hint.hidden = there;
    title.textContent = model.get("heading");
    for (const one of [edge, before, after, sentence]) one.hidden = !there;
    note.hidden = !there || !model.get("note");
    gauge.hidden = there && model.get("distance") === null;
    board.classList.toggle("fi-whole", there && whole);
    markLeft();
    markExtent();
    if (there) {
      before.src = urls[whole ? (original ? "photo_before" : "photo_masked") : look.left];
      before.alt = original ? "original face" : "face with its hole";
      after.src = urls[whole ? "photo_after" : "completed"];
      tags[0].textContent = original ? "original" : "masked";
      tags[1].textContent = "completed";
      board.dataset.number = model.get("number");
      judge();
      wipe();
    } else delete board.dataset.number;
  };
  const drag = (event) => {
    if (slider.disabled || (event.type === "pointermove" && !board.hasPointerCapture(event.pointerId))) return;
    if (event.type === "pointerdown") board.setPointerCapture(event.pointerId);
    const { left: start, width } = board.getBoundingClientRect();
    const at = Math.round((100 * (event.clientX - start)) / width);
    change({ at: Math.min(100, Math.max(0, at)) });
  };
  board.addEventListener("pointerdown", drag);
  board.addEventListener("pointermove", drag);
  slider.addEventListener("input", () => change({ at: Number(slider.value) }));

  model.on("msg:custom", (message, buffers) => download(message, buffers));
  model.on("change", () => {
    names.forEach(load);
    show();
  });
  names.forEach(load);
  show();
  studioOf(el, (found) => {
    root = found;
    root.addEventListener("fi-look", looked);
  }, () => gone);
  return () => {
    gone = true;
    root?.removeEventListener("fi-look", looked);
    Object.values(urls).forEach(URL.revokeObjectURL);
  };
};

export default { render };
