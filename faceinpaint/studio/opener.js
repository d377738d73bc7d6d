// Opens photos: from a file, dropped on the studio, pasted, or taken by the camera.

const MOST = 32e6; // bytes of a file
const PART = 4e6; // bytes of a message; a notebook server takes none above 10 MB

const render = ({ model, el }) => {
  const aim = model.get("aim");
  let gone = false, camera = null;
  el.classList.add("fi-opener");
  const file = make("input", "fi-file", { type: "file", accept: "image/*", tabindex: "-1", "aria-hidden": "true" }, el);
  file.hidden = true;
  button(el, "fi-open", model.get("label"), model.get("title"), () => file.click());
  const say = (words) => model.send({ do: "say", words });

  const send = async (blob) => {
    if (blob.size > MOST) return say(`the file has ${Math.round(blob.size / 1e6)} MB: give one of at most 32 MB`);
    const bytes = await blob.arrayBuffer();
    for (let at = 0; at === 0 || at < blob.size; at += PART)
      model.send({ do: "open", at, more: at + PART < blob.size }, undefined, [bytes.slice(at, at + PART)]);
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
    button(el, "fi-save-mask", "Save", "Save the mask of the face as PNG", () => model.send({ do: "save" }));
    const title = "Save the mask of the whole photo as PNG, for `faceinpaint complete`";
    button(el, "fi-save-photo-mask", "Save for photo", title, () => model.send({ do: "save", whole: true }));
    model.on("msg:custom", (message, buffers) => download(message, buffers));
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
  const showTurn = () => { turn.disabled = !model.get("turnable"); };
  model.on("change:turnable", showTurn);
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
  studioOf(el, (found) => {
    root = found;
    for (const [name, handler] of Object.entries(events)) root.addEventListener(name, handler);
    document.addEventListener("paste", paste);
  }, () => gone);
  return () => {
    gone = true;
    stop();
    document.removeEventListener("paste", paste);
    for (const [name, handler] of Object.entries(events)) root?.removeEventListener(name, handler);
  };
};

export default { render };
