// The face with its mask: brush and eraser, the landmarks, and the faces of a photo with several.

const TINT = "#0072b2";

const render = ({ model, el }) => {
  const size = model.get("size");
  let erasing = false, radius = 12, stroke = null, gone = false;
  el.classList.add("fi-editor");

  const bar = make("div", "fi-bar fi-tools", { role: "toolbar", "aria-label": "Drawing" }, el);
  const tool = (name, text, title, action) => button(bar, `fi-${name}`, text, title, action);
  const brush = tool("brush", "Brush", "Brush (b)", () => take(false));
  const eraser = tool("eraser", "Eraser", "Eraser (e)", () => take(true));
  const width = make("input", "fi-width", { type: "range", min: 2, max: 40, value: radius, title: "Brush size" }, bar);
  width.setAttribute("aria-label", "Brush size");
  const ask = (what) => () => model.send({ do: what });
  const undo = tool("undo", "Undo", "Undo (z)", ask("undo"));
  const redo = tool("redo", "Redo", "Redo (shift z)", ask("redo"));

  const board = make("div", "fi-board fi-drawing", {}, el);
  const photo = make("img", "fi-portrait", { alt: "the aligned face", draggable: "false" }, board);
  const canvas = make("canvas", "fi-hole", { width: size, height: size, tabindex: "0", role: "img" }, board);
  canvas.setAttribute("aria-label", "Mask: draw on the face; b brush, e eraser, z undo, g generate");
  const points = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  points.setAttribute("class", "fi-points");
  points.setAttribute("viewBox", `0 0 ${size} ${size}`);
  board.append(points);
  const outline = make("div", "fi-outline", { "aria-hidden": "true" }, board);
  outline.hidden = true;
  const people = make("div", "fi-people", { role: "group", "aria-label": "Faces in the photo: click one" }, board);
  const everybody = make("img", "", { alt: "the whole photo", draggable: "false" });

  const foot = make("div", "fi-bar fi-foot", {}, el);
  button(foot, "fi-invert", "Invert", "Hide what is visible and the other way round", ask("invert"));
  button(foot, "fi-clear", "Clear", "Hide nothing", ask("clear"));
  const marks = button(foot, "fi-marks", "Landmarks", "Show the landmarks; drag one to move it", ask("landmarks"));
  const release = button(foot, "fi-release", "Predict again", "Forget the landmarks moved by hand", ask("release"));
  const others = button(foot, "fi-others", "Other face", "Choose another face of the photo", ask("people"));
  const ratio = make("p", "fi-ratio", {}, foot);

  // ---------------------------------------------------------------------------------- the mask
  const context = canvas.getContext("2d");
  const trace = ({ points, radius, erasing }) => {
    context.globalCompositeOperation = erasing ? "destination-out" : "source-over";
    context.strokeStyle = context.fillStyle = TINT;
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = 2 * radius;
    context.beginPath();
    context.moveTo(points[0] + 0.5, points[1] + 0.5);
    for (let i = 0; i < points.length; i += 2) context.lineTo(points[i] + 0.5, points[i + 1] + 0.5);
    context.stroke();
    context.globalCompositeOperation = "source-over";
  };
  const showMask = async () => {
    const version = model.get("version");
    const bitmap = await createImageBitmap(new Blob([model.get("mask")], { type: "image/png" }));
    if (gone || version !== model.get("version")) return;
    context.clearRect(0, 0, size, size);
    context.drawImage(bitmap, 0, 0);
    context.globalCompositeOperation = "source-in"; // the mask's PNG is opaque where it hides, and clear elsewhere
    context.fillStyle = TINT;
    context.fillRect(0, 0, size, size);
    context.globalCompositeOperation = "source-over";
    if (stroke) trace(stroke);
    canvas.dataset.version = version;
    ratio.textContent = `${Math.round(100 * model.get("ratio"))} % hidden`;
    undo.disabled = !model.get("can_undo");
    redo.disabled = !model.get("can_redo");
  };

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const at = (value, start, length) => Math.round(100 * (((value - start) / length) * size - 0.5)) / 100;
    return [at(event.clientX, box.left, box.width), at(event.clientY, box.top, box.height)];
  };
  const hover = (event) => {
    const box = canvas.getBoundingClientRect();
    const side = (2 * radius * box.width) / size;
    outline.hidden = false;
    outline.classList.toggle("fi-erasing", erasing);
    Object.assign(outline.style, {
      width: `${side}px`, height: `${side}px`,
      transform: `translate(${event.clientX - box.left - side / 2}px, ${event.clientY - box.top - side / 2}px)`,
    });
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || stroke) return; // a second finger draws nothing
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    event.preventDefault();
    stroke = { id: event.pointerId, radius, erasing, points: place(event) };
    trace(stroke);
  });
  canvas.addEventListener("pointermove", (event) => {
    hover(event);
    if (event.pointerId !== stroke?.id) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const one of moves.length ? moves : [event]) {
      const [x, y] = place(one), [u, v] = stroke.points.slice(-2);
      if (Math.hypot(x - u, y - v) >= 0.5) stroke.points.push(x, y);
    }
    trace(stroke);
  });
  const end = (event) => {
    if (event.pointerId !== stroke?.id) return;
    const { radius, erasing, points } = stroke;
    stroke = null;
    model.send({ do: erasing ? "erase" : "paint", stroke: [radius, points] });
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => { outline.hidden = true; });
  const take = (eraserToo) => {
    erasing = eraserToo;
    brush.setAttribute("aria-pressed", !erasing);
    eraser.setAttribute("aria-pressed", erasing);
    outline.classList.toggle("fi-erasing", erasing);
  };
  take(false);
  width.addEventListener("input", () => { radius = Number(width.value); });

  // ----------------------------------------------------------------------------- the landmarks
  let grip = null;
  const showPoints = () => {
    const all = model.get("points");
    marks.setAttribute("aria-pressed", all.length > 0);
    release.hidden = !model.get("pulled");
    grip = null;
    points.replaceChildren();
    all.forEach(([x, y, colour], index) => {
      const dot = document.createElementNS(points.namespaceURI, "circle");
      Object.entries({ cx: x + 0.5, cy: y + 0.5, r: 2.2, fill: colour, "data-index": index }).forEach(
        ([key, value]) => dot.setAttribute(key, value));
      points.append(dot);
    });
  };
  const moveDots = (x, y) => { // as `strokes.pulled` does it
    const all = model.get("points"), [u, v] = all[grip.index];
    [...points.children].forEach((dot, index) => {
      const [a, b] = all[index];
      const share = Math.exp(-((a - u) ** 2 + (b - v) ** 2) / (2 * (model.get("reach") * size) ** 2));
      dot.setAttribute("cx", a + share * (x - u) + 0.5);
      dot.setAttribute("cy", b + share * (y - v) + 0.5);
    });
  };
  points.addEventListener("pointerdown", (event) => {
    const index = event.target.dataset?.index;
    if (index === undefined) return;
    points.setPointerCapture(event.pointerId);
    event.preventDefault();
    grip = { index: Number(index), id: event.pointerId };
  });
  points.addEventListener("pointermove", (event) => {
    if (grip?.id === event.pointerId) moveDots(...place(event));
  });
  points.addEventListener("pointerup", (event) => {
    if (grip?.id !== event.pointerId) return;
    const [x, y] = place(event).map((value) => Math.min(Math.max(value, 0), size - 1));
    model.send({ do: "pull", index: grip.index, x, y });
    grip = null;
  });

  // --------------------------------------------------------------- the faces of a photo with several
  const showPeople = () => {
    const boxes = model.get("boxes");
    others.hidden = !model.get("several");
    board.classList.toggle("fi-choosing", boxes.length > 0);
    people.replaceChildren(...(boxes.length ? [everybody] : []));
    boxes.forEach(([left, top, wide, high], number) => {
      const title = `Face ${number + 1} of ${boxes.length}`;
      const box = button(people, "fi-face", "", title, () => model.send({ do: "face", number }));
      Object.assign(box.style, {
        left: `${left}%`, top: `${top}%`, width: `${wide}%`, height: `${high}%`,
      });
    });
  };

  const stops = [follow(model, "picture", photo), follow(model, "photo", everybody)];
  model.on("change:version", showMask);
  model.on("change:points", showPoints);
  model.on("change:pulled", showPoints);
  model.on("change:boxes", showPeople);
  model.on("change:several", showPeople);
  model.on("msg:custom", (message, buffers) => download(message, buffers));
  showMask();
  showPoints();
  showPeople();

  // ---------------------------------------------------------------------------------- the keys
  const press = (event) => {
    const typing = event.target.matches("select, textarea, input:not([type=range])");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { b: () => take(false), e: () => take(true), g: ask("generate"), z: ask("undo"), Z: ask("redo") };
    if (!keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  };
  let root = null;
  studioOf(el, (found) => {
    root = found;
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // or JupyterLab would take b for a new cell
    root.addEventListener("keydown", press);
  }, () => gone);
  return () => {
    gone = true;
    root?.removeEventListener("keydown", press);
    stops.forEach((stop) => stop());
  };
};

export default { render };
