// A share between two bounds, with its name and its value in per cent.

const render = ({ model, el }) => {
  el.classList.add("fi-share");
  const box = make("label", "", { title: model.get("title") }, el);
  make("span", "", { text: model.get("label") }, box);
  const bounds = { min: model.get("least"), max: model.get("most"), step: 0.05 };
  const slider = make("input", "", { type: "range", "aria-label": model.get("title"), ...bounds }, box);
  const words = make("output", "", {}, box);
  const say = () => { words.textContent = `${Math.round(100 * slider.value)} %`; };
  const show = () => {
    slider.value = model.get("value");
    say();
  };
  slider.addEventListener("input", say);
  slider.addEventListener("change", () => { // only where it is let go: a mask is made of it each time
    model.set("value", Number(slider.value));
    model.save_changes();
  });
  model.on("change:value", show);
  show();
};

export default { render };
