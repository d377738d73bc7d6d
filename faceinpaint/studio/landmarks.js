// The landmarks over the face: pulled by mouse, pen or finger, or moved by keys.

const NEAR = { mouse: 7, pen: 10, touch: 16 }; // pixels of the screen within which a pointer takes one
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FAR = 5; // pixels of the face, by an arrow with shift

const shape = (name, attributes, parent) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
};

const landmarksOver = (board, model, surface) => {
  const size = model.get("size"), reach = model.get("reach") * size;
  const label = "Landmarks: [ and ] go to another one, arrows move it, with shift further";
  // An application: or a screen reader would keep the arrows for itself.
  const extent = `0 0 ${size} ${size}`; // and no stop of the tab key itself: the chosen landmark is
  const frame = { class: "fi-points", viewBox: extent, role: "application", "aria-label": label, tabindex: "-1" };
  const svg = shape("svg", frame, board);
  let places = [], dots = [], current = 0, grip = null; // the landmark that is being moved, and where all were before

  const draw = () => dots.forEach((dot, index) => {
    const [x, y] = places[index];
    dot.setAttribute("cx", x + 0.5);
    dot.setAttribute("cy", y + 0.5);
    const where = `at ${Math.round(x)}, ${Math.round(y)}`;
    dot.setAttribute("aria-label", `Landmark ${index} of 0 to ${dots.length - 1}, ${dot.dataset.part}, ${where}`);
  });
  const choose = (index) => { // one of them is on the way of the tab key
    dots[current]?.setAttribute("tabindex", "-1");
    current = index;
    dots[current].setAttribute("tabindex", "0");
  };
  const build = (all) => {
    const focused = svg.contains(document.activeElement);
    svg.replaceChildren();
    dots = all.map(([, , fill, part], index) =>
      shape("circle", { r: 2.2, fill, role: "img", tabindex: "-1", "data-index": index, "data-part": part }, svg));
    if (dots.length) choose(current);
    else if (focused) surface.focus();
    for (const dot of dots) dot.addEventListener("focus", () => choose(Number(dot.dataset.index)));
  };
  const show = () => {
    const all = model.get("points");
    if (grip && all.length) return; // what the kernel makes of an earlier move; another is under way
    grip = null;
    places = all.map(([x, y]) => [x, y]);
    svg.style.display = all.length ? "" : "none";
    if (dots.length !== all.length) build(all);
    draw();
  };

  const inside = (value) => Math.min(Math.max(value, 0), size - 1);
  const take = (index, id) => {
    if (grip) return; // a second finger moves nothing
    grip = { index, id, from: places };
    dots[index].focus({ preventScroll: true });
  };
  const move = (x, y) => { // as `strokes.pulled` does it
    const { index, from } = grip, [u, v] = from[index];
    places = from.map(([a, b]) => {
      const share = Math.exp(-((a - u) ** 2 + (b - v) ** 2) / (2 * reach ** 2));
      return [a + share * (x - u), b + share * (y - v)];
    });
    places[index] = [x, y];
    draw();
  };
  const send = () => {
    if (!grip) return;
    const { index, from } = grip, [x, y] = places[index];
    grip = null;
    if (x !== from[index][0] || y !== from[index][1]) model.send({ do: "pull", index, x, y });
  };

  const press = (event) => {
    const step = { "[": -1, "]": 1 }[event.key], way = MOVES[event.key];
    if (!(step || way) || !svg.contains(event.target)) return false;
    event.preventDefault();
    event.stopPropagation();
    if (step) {
      dots[(current + step + dots.length) % dots.length].focus({ preventScroll: true });
      return true;
    }
    if (!grip) take(current, "keys");
    const [x, y] = places[current], far = event.shiftKey ? FAR : 1;
    move(inside(x + far * way[0]), inside(y + far * way[1]));
    return true;
  };
  svg.addEventListener("keyup", (event) => { if (MOVES[event.key] && grip?.id === "keys") send(); });
  svg.addEventListener("focusout", () => { if (grip?.id === "keys") send(); });

  model.on("change:points", show);
  show();
  return {
    press,
    // The landmark that a pointer means, or -1.
    near: (event) => {
      const box = svg.getBoundingClientRect(), fine = box.width / size;
      const far = places.map(([x, y]) =>
        Math.hypot(box.left + (x + 0.5) * fine - event.clientX, box.top + (y + 0.5) * fine - event.clientY));
      const nearest = far.indexOf(Math.min(...far));
      return far[nearest] <= (NEAR[event.pointerType] ?? NEAR.mouse) ? nearest : -1;
    },
    take,
    holds: (event) => grip?.id === event.pointerId,
    move: (x, y) => move(inside(x), inside(y)),
    send,
  };
};
