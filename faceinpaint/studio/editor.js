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
  canvas.setAttribute("aria-label", "Mask: draw on the face; b brush, e eraser, z undo, g generate, a another answer");
  const landmarks = landmarksOver(board, model, canvas);
  const outline = make("div", "fi-outline", { "aria-hidden": "true" }, board);
  outline.hidden = true;
  const people = make("div", "fi-people", { role: "group", "aria-label": "Faces in the photo: click one" }, board);
  const everybody = make("img", "", { alt: "the whole photo", draggable: "false" });
  everybody.addEventListener("load", () => { // a photo that is higher than wide fits into the square too
    people.style.width = `${100 * Math.min(1, everybody.naturalWidth / everybody.naturalHeight)}%`;
  });

  const foot = make("div", "fi-bar fi-foot", {}, el);
  button(foot, "fi-invert", "Invert", "Hide what is visible and the other way round", ask("invert"));
  button(foot, "fi-clear", "Clear", "Hide nothing", ask("clear"));
  const title = "Show the landmarks (l): drag one, or choose by [ and ] and move by arrows, with shift further";
  const marks = button(foot, "fi-marks", "Landmarks", title, ask("landmarks"));
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
    const gripping = landmarks.holds(event) || (!stroke && landmarks.near(event) >= 0);
    canvas.classList.toggle("fi-gripping", gripping);
    outline.hidden = gripping;
    outline.classList.toggle("fi-erasing", erasing);
    Object.assign(outline.style, {
      width: `${side}px`, height: `${side}px`,
      transform: `translate(${event.clientX - box.left - side / 2}px, ${event.clientY - box.top - side / 2}px)`,
    });
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || stroke) return; // a second finger draws nothing
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
    const landmark = landmarks.near(event);
    if (landmark >= 0) {
      landmarks.take(landmark, event.pointerId);
      return;
    }
    canvas.focus({ preventScroll: true });
    stroke = { id: event.pointerId, radius, erasing, points: place(event) };
    trace(stroke);
  });
  canvas.addEventListener("pointermove", (event) => {
    hover(event);
    if (landmarks.holds(event)) landmarks.move(...place(event));
    if (event.pointerId !== stroke?.id) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const one of moves.length ? moves : [event]) {
      const [x, y] = place(one), [u, v] = stroke.points.slice(-2);
      if (Math.hypot(x - u, y - v) >= 0.5) stroke.points.push(x, y);
    }
    trace(stroke);
  });
  const end = (event) => {
    if (landmarks.holds(event)) landmarks.send();
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

  // --------------------------------------------------------------- the faces of a photo with several
  const showState = () => {
    marks.setAttribute("aria-pressed", model.get("points").length > 0);
    release.hidden = !model.get("pulled");
    others.hidden = !model.get("several");
    others.setAttribute("aria-pressed", model.get("boxes").length > 0);
  };
  const showPeople = () => {
    const boxes = model.get("boxes");
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
  for (const trait of ["points", "pulled", "boxes", "several"]) model.on(`change:${trait}`, showState);
  model.on("change:boxes", showPeople);
  model.on("msg:custom", (message, buffers) => download(message, buffers));
  showMask();
  showState();
  showPeople();

  // ---------------------------------------------------------------------------------- the keys
  const press = (event) => {
    const typing = event.target.matches("select, textarea, input:not([type=range]), [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    landmarks.press(event);
    const keys = {
      b: () => take(false), e: () => take(true), g: ask("generate"), a: ask("another"), l: ask("landmarks"),
      z: ask("undo"), Z: ask("redo"),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  };
  // A button that is disabled or hidden by its click has no focus any more; the keys are the studio's all the same.
  let root = null, ours = false;
  const lost = (event) => { if (ours && event.target === document.body) press(event); };
  const touched = (event) => { ours = root.contains(event.target); };
  studioOf(el, (found) => {
    root = found;
    root.setAttribute("data-lm-suppress-shortcuts", "true"); // or JupyterLab would take b for a new cell
    root.addEventListener("keydown", press);
    document.addEventListener("keydown", lost);
    for (const kind of ["pointerdown", "focusin"]) document.addEventListener(kind, touched, true);
  }, () => gone);
  return () => {
    gone = true;
    root?.removeEventListener("keydown", press);
    document.removeEventListener("keydown", lost);
    for (const kind of ["pointerdown", "focusin"]) document.removeEventListener(kind, touched, true);
    stops.forEach((stop) => stop());
  };
};

export default { render };
