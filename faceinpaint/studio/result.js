// One result beside what it was made from: a slider wipes from the one to the other.

const render = ({ model, el }) => {
  el.classList.add("fi-result");
  const head = make("div", "fi-bar", {}, el);
  const title = make("h3", "fi-title", {}, head);
  const board = make("div", "fi-board fi-wipe", {}, el);
  const after = make("img", "fi-after", { alt: "completed face", draggable: "false" }, board);
  const before = make("img", "fi-before", { alt: "", draggable: "false" }, board);
  const edge = make("div", "fi-edge", { "aria-hidden": "true" }, board);
  const hint = make("p", "fi-hint", { text: model.get("hint") }, board);
  const slider = make("input", "fi-slider", { type: "range", min: 0, max: 100, value: 50, step: 1 }, el);
  slider.setAttribute("aria-label", "Wipe between before (left) and result (right)");

  // Left of the edge: the original or the masked picture. All of it at 100, nothing at 0.
  let left = "original", whole = false;
  const group = (parent, name, label, values, then) => {
    const box = make("div", `fi-choice ${name}`, { role: "group", "aria-label": label }, parent);
    const all = values.map(([value, text, title]) => button(box, `fi-${value}`, text, title, () => choose(value)));
    const choose = (value) => {
      all.forEach((one) => one.setAttribute("aria-pressed", one.classList.contains(`fi-${value}`)));
      then(value);
      show();
    };
    all[0].setAttribute("aria-pressed", "true");
    all.slice(1).forEach((one) => one.setAttribute("aria-pressed", "false"));
  };
  group(head, "fi-left", "Left of the slider", [
    ["original", "Original", "Compare with the original"], ["masked", "Masked", "Compare with what was visible"],
  ], (value) => { left = value; });
  const urls = {};
  const names = ["original", "masked", "completed", "photo_before", "photo_masked", "photo_after"];
  const load = (name) => {
    const bytes = model.get(name);
    if (urls[name]) URL.revokeObjectURL(urls[name]);
    urls[name] = bytes?.byteLength ? URL.createObjectURL(new Blob([bytes])) : "";
  };
  const wipe = () => {
    const at = Number(slider.value);
    before.style.clipPath = `inset(0 ${100 - at}% 0 0)`;
    edge.style.left = `${at}%`;
  };
  const show = () => {
    const there = Boolean(urls.completed);
    el.classList.toggle("fi-blank", !there);
    for (const one of el.querySelectorAll("button")) one.disabled = !there;
    slider.disabled = !there;
    hint.hidden = there;
    title.textContent = model.get("heading");
    sentence.textContent = model.get("sentence");
    sentence.dataset.same = model.get("same");
    edge.hidden = before.hidden = after.hidden = !there;
    if (!there) return;
    board.classList.toggle("fi-whole", whole);
    const photo = left === "original" ? "photo_before" : "photo_masked";
    before.src = urls[whole ? photo : left];
    before.alt = left === "original" ? "original face" : "face with its hole";
    after.src = urls[whole ? "photo_after" : "completed"];
    board.dataset.number = model.get("number");
    wipe();
  };
  const drag = (event) => {
    if (slider.disabled || (event.type === "pointermove" && !board.hasPointerCapture(event.pointerId))) return;
    if (event.type === "pointerdown") board.setPointerCapture(event.pointerId);
    const { left: start, width } = board.getBoundingClientRect();
    slider.value = Math.round((100 * (event.clientX - start)) / width);
    wipe();
  };
  board.addEventListener("pointerdown", drag);
  board.addEventListener("pointermove", drag);
  slider.addEventListener("input", wipe);

  const foot = make("div", "fi-bar fi-foot", {}, el);
  const sentence = make("p", "fi-verdict", { role: "status", "aria-live": "polite" }, foot);
  group(foot, "fi-extent", "What is shown", [
    ["crop", "Face", "Show the face"], ["photo", "Photo", "Show the whole photo"],
  ], (value) => { whole = value === "photo"; });
  button(foot, "fi-save", "Save", "Save the completed photo as PNG", () => model.send({ do: "save" }));
  model.on("msg:custom", (message, buffers) => download(message, buffers));
  names.forEach(load);
  model.on("change", () => {
    names.forEach(load);
    show();
  });
  show();
  return () => Object.values(urls).forEach(URL.revokeObjectURL);
};

export default { render };
