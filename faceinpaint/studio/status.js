// One sentence about what has happened, and how far the work is.

const render = ({ model, el }) => {
  el.classList.add("fi-status");
  const words = make("p", "fi-words", { role: "status", "aria-live": "polite" }, el);
  const bar = make("progress", "fi-progress", { max: "1", "aria-label": "Progress" }, el);
  const show = () => {
    words.textContent = model.get("words");
    words.dataset.kind = model.get("kind");
    const share = model.get("share");
    bar.value = Math.max(0, share);
    bar.classList.toggle("fi-idle", share < 0);
  };
  model.on("change", show);
  show();
};

export default { render };
