// Opens photos: from a file, dropped on the studio, pasted, or taken by the camera.

const MOST = 32e6; // bytes of a file
const PART = 4e6; // bytes of a message; a notebook server takes none above 10 MB

// What one page leaves for the next in the browser's own store, only while it is being reloaded.
const kept = (mode, act) => new Promise((done, fail) => {
  const opening = indexedDB.open("faceinpaint", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("kept");
  opening.onerror = () => fail(opening.error);
  opening.onsuccess = () => {
    const asked = act(opening.result.transaction("kept", mode).objectStore("kept"));
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => fail(asked.error);
  };
});

const render = ({ model, el }) => {
  const aim = model.get("aim");
  let gone = false, camera = null;
  el.classList.add("fi-opener");
  const file = make("input", "fi-file", { type: "file", accept: "image/*", tabindex: "-1", "aria-hidden": "true" }, el);
  file.hidden = true;
  button(el, "fi-open", model.get("label"), model.get("title"), () => file.click());
  const say = (words) => model.send({ do: "say", words });

  const send = async (blob, what = { do: "open", name: blob.name ?? "", upload: Date.now() }) => {
    if (blob.size > MOST) return say(`the file has ${Math.round(blob.size / 1e6)} MB: give one of at most 32 MB`);
    const bytes = await blob.arrayBuffer();
    for (let at = 0; at === 0 || at < blob.size; at += PART)
      model.send({ ...what, at, more: at + PART < blob.size }, undefined, [bytes.slice(at, at + PART)]);
    if (aim === "photo" && blob.size) (root.files ??= new Map()).set(what.upload, blob); // should the kernel end
  };
  file.addEventListener("change", () => {
    if (file.files.length) send(file.files[0]);
    file.value = ""; // or the same file could not be opened again
  });
  // Dropped or pasted on a place: what is inside of another such place goes there alone.
  const image = (list) => [...(list ?? [])].find((one) => one.kind === "file" || one instanceof File);
  const over = (event) => {
    event.preventDefault();
    event.stopPropagation();
    event.currentTarget.classList.add("fi-dropping");
  };
  const leave = (event) => event.currentTarget.classList.remove("fi-dropping");
  const drop = (event) => {
    event.preventDefault();
    event.stopPropagation(); // a notebook would take it for a cell
    leave(event);
    const found = image(event.dataTransfer.files);
    if (found) send(found);
    else say("what was dropped is no file: drop a photo from a folder");
  };
  const events = { dragover: over, dragleave: leave, drop };
  if (aim === "reference") {
    const pasted = (event) => {
      const found = image(event.clipboardData?.items);
      if (!found) return;
      event.stopPropagation();
      send(found.getAsFile());
    };
    for (const [name, handler] of Object.entries({ ...events, paste: pasted })) el.addEventListener(name, handler);
    return referenceIn(el, model);
  }
  if (aim === "mask") {
    const title = "Save the mask of the whole photo as PNG, for `faceinpaint complete`";
    button(el, "fi-save-mask", "Save mask", title, saver(model));
    const ways = [["as-it-is", "It is the hole", "as it is"], ["other-way", "The other way round", "invert"]]
      .map(([name, text, what]) => button(el, `fi-${name}`, text, text, () => model.send({ do: what })));
    const ask = () => { for (const one of ways) one.hidden = !model.get("asking"); };
    model.on("change:asking", ask);
    ask();
    return;
  }

  const stop = () => {
    camera?.getTracks().forEach((track) => track.stop());
    camera = null;
    box.hidden = true;
  };
  const look = async () => {
    if (!navigator.mediaDevices?.getUserMedia) {
      say("this browser lends its camera only to pages on this machine or over https: open a photo instead");
      return;
    }
    try {
      camera = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 } });
      video.srcObject = camera;
      box.hidden = false;
      await video.play();
    } catch {
      say("the camera can't be used: allow it in the browser, or open a photo instead");
    }
  };
  const shoot = async () => {
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    stop();
    send(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 }));
  };
  button(el, "fi-webcam", "Camera", "Take a photo with the camera", look);
  button(el, "fi-new-person", "New person", "Render somebody who does not exist", () => model.send({ do: "new" }));
  const title = "Turn the photo, or the last one in which no face was found, to the left and look for faces again";
  const turn = button(el, "fi-turn", "Turn", title, () => model.send({ do: "turn" }));
  // Where no face was found, the visitor may know better.
  const better = [
    button(el, "fi-square", "Draw a square", "Draw a square around the face", () => model.send({ do: "square" })),
    button(el, "fi-as-it-is", "Take it as it is", "The photo shows the face as it is", () => model.send({ do: "as it is" })),
  ];
  const showTurn = () => {
    turn.disabled = !model.get("turnable");
    for (const one of better) one.hidden = !model.get("faceless");
  };
  model.on("change", showTurn);
  showTurn();
  const box = make("div", "fi-camera", { role: "group", "aria-label": "Camera" }, el);
  box.hidden = true;
  const video = make("video", "fi-video", { playsinline: "" }, box);
  video.muted = true;
  button(box, "fi-shoot fi-primary", "Take it", "Take the picture", shoot);
  button(box, "fi-stop", "Close", "Close the camera", stop);

  // The photo's place is the whole studio.
  let root = null;
  const paste = (event) => {
    if (!root?.contains(document.activeElement) && document.activeElement !== document.body) return;
    const found = image(event.clipboardData?.items);
    if (found) send(found.getAsFile());
  };
  // The kernel is gone: photo, face and mask go to the page's next one.
  const takeAlong = async () => {
    const state = model.get("state"), file = root.files?.get(state.upload);
    await kept("readwrite", (store) => store.put({ file, state }, "work"));
    location.reload();
  };
  const takeUp = async () => {
    const { file, state } = (await kept("readonly", (store) => store.get("work"))) ?? {};
    if (!state) return;
    await kept("readwrite", (store) => store.delete("work"));
    send(file ?? new Blob(), { do: "take up", state, upload: state.upload });
  };
  studioOf(el, (found) => {
    root = found;
    root.addEventListener("fi-take-along", takeAlong);
    if (!inNotebook()) takeUp();
    for (const [name, handler] of Object.entries(events)) root.addEventListener(name, handler);
    document.addEventListener("paste", paste);
  }, () => gone);
  return () => {
    gone = true;
    stop();
    document.removeEventListener("paste", paste);
    root?.removeEventListener("fi-take-along", takeAlong);
    for (const [name, handler] of Object.entries(events)) root?.removeEventListener(name, handler);
  };
};

export default { render };
