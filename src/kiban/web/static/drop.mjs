// Files dropped on a form are the files of its input; the form sends them. Without this script the input does the same.
for (const zone of document.querySelectorAll(".drop")) {
  const input = zone.querySelector("input[type=file]");
  const form = zone.closest("form");
  const named = zone.querySelector(".drop-names");
  const show = () => {
    named.textContent = [...input.files].map((file) => file.name).join("、");
  };
  input.addEventListener("change", show);
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer?.files.length) return;
    const all = new DataTransfer();
    const kept = "gather" in zone.dataset ? [...input.files] : [];
    for (const file of [...kept, ...event.dataTransfer.files]) all.items.add(file);
    input.files = all.files;
    show();
    if (!("gather" in zone.dataset)) form.requestSubmit();
  });
}
// A file let fall beside the form must not take the page away.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
