// One clock for all videos: the first one plays, the others are pulled to its time.
(() => {
  const videos = [...document.querySelectorAll("video")];
  const copy = document.getElementById("copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById("command").textContent);
    copy.textContent = "copied";
    setTimeout(() => (copy.textContent = "copy"), 1200);
  });
  if (!videos.length) return;

  const [lead, ...others] = videos;
  const player = document.querySelector(".player");
  const frames = Number(player.dataset.frames);
  const fps = Number(player.dataset.fps);
  const play = document.getElementById("play");
  const scrub = document.getElementById("scrub");
  const shown = document.getElementById("shown");
  let scrubbing = false;

  const frameOf = (time) => Math.min(frames - 1, Math.floor(time * fps + 0.01));
  const show = (frame) => {
    if (!scrubbing) scrub.value = frame;
    shown.textContent = `frame ${frame + 1} of ${frames}`;
  };
  const seek = (frame) => {
    const held = Math.min(frames - 1, Math.max(0, frame));
    for (const video of videos) video.currentTime = (held + 0.5) / fps;
    show(held);
  };
  const start = () => {
    for (const video of videos) video.play().catch(() => {});
    play.textContent = "pause";
  };
  const stop = () => {
    for (const video of videos) video.pause();
    play.textContent = "play";
  };
  const toggle = () => (lead.paused ? start() : stop());
  const tick = () => {
    if (!lead.paused) {
      for (const video of others) {
        if (Math.abs(video.currentTime - lead.currentTime) > 0.6 / fps) video.currentTime = lead.currentTime;
        if (video.paused) video.play().catch(() => {});
      }
      show(frameOf(lead.currentTime));
    }
    requestAnimationFrame(tick);
  };

  play.addEventListener("click", toggle);
  for (const video of videos) video.addEventListener("click", toggle);
  scrub.addEventListener("pointerdown", () => { scrubbing = true; stop(); });
  scrub.addEventListener("pointerup", () => { scrubbing = false; });
  scrub.addEventListener("input", () => { stop(); seek(Number(scrub.value)); });
  document.addEventListener("keydown", (event) => {
    if (event.target === scrub || event.target.tagName === "BUTTON") return;
    if (event.key === " ") { event.preventDefault(); toggle(); }
    if (event.key === "ArrowRight") { stop(); seek(frameOf(lead.currentTime) + 1); }
    if (event.key === "ArrowLeft") { stop(); seek(frameOf(lead.currentTime) - 1); }
  });
  requestAnimationFrame(tick);
  start();
})();
