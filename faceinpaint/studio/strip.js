// A strip of small pictures to choose from: faces, masks, results.

const render = ({ model, el }) => {
  el.classList.add("fi-strip");
  let urls = [];
  const list = make("div", "fi-thumbs", { role: "group", "aria-label": model.get("label") }, el);
  const mark = () => {
    for (const one of list.children) one.setAttribute("aria-pressed", one.dataset.id === model.get("chosen"));
  };
  const show = () => {
    urls.forEach(URL.revokeObjectURL);
    urls = [];
    list.replaceChildren();
    for (const { id, title, picture, caption } of model.get("items")) {
      const node = button(list, "fi-thumb", "", title, () => model.send({ do: "choose", id }));
      node.dataset.id = id;
      urls.push(URL.createObjectURL(new Blob([picture])));
      make("img", "", { src: urls.at(-1), alt: "", draggable: "false" }, node);
      if (caption) make("span", "fi-caption", { text: caption, "aria-hidden": "true" }, node);
    }
    if (!list.children.length) make("p", "fi-empty", { text: model.get("empty") }, list);
    mark();
  };
  model.on("change:items", show);
  model.on("change:chosen", mark);
  show();
  return () => urls.forEach(URL.revokeObjectURL);
};

export default { render };
