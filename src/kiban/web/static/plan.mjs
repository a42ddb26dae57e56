// The island of the design page: the map. The tables say the same without it.
import { Map as GLMap, NavigationControl, Popup, ScaleControl, prewarm, setWorkerUrl } from "./vendor/maplibre-gl.mjs";

// The legend brings the colour of each technology.
const UNKNOWN = "#4d4d4d", UNSERVED = "#a1000e";
const legend = new Map([...document.querySelectorAll("#legend .swatch[data-technology]")].map((node) => [node.dataset.technology, node.style.backgroundColor]));
const technologies = [...legend.keys()];
const names = new Map([...document.querySelectorAll("#legend .swatch[data-technology]")].map((node) => [node.dataset.technology, node.parentNode.textContent.trim()]));
const colourOf = (id) => legend.get(id) ?? UNKNOWN;

const line = (text, tag = "p") => Object.assign(document.createElement(tag), { textContent: text });

function square() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.strokeStyle = "#1a1a1a";
  pen.lineWidth = 5;
  pen.fillRect(4, 4, 20, 20);
  pen.strokeRect(4, 4, 20, 20);
  return pen.getImageData(0, 0, 28, 28);
}

async function drawMap(box) {
  const word = JSON.parse(box.dataset.words);
  setWorkerUrl(new URL("./vendor/maplibre-gl-worker.mjs", import.meta.url).href);
  prewarm(); // its worker starts while the data come
  const data = await (await fetch(box.dataset.map)).json(); // on its way since the head of the page
  const cut = JSON.parse(box.dataset.cut || "{}");
  const byTechnology = (name) => (technologies.length ? ["match", ["coalesce", ["get", name], ""], ...technologies.flatMap((id) => [id, colourOf(id)]), UNKNOWN] : UNKNOWN);
  const colour = byTechnology("technology");
  const layer = (part, more) => ({ id: part, source: "design", ...more, filter: ["==", ["get", "part"], part] });
  const lost = (part, ids, more) => ({ source: "design", ...more, filter: ["all", ["==", ["get", "part"], part], ["in", ["get", "id"], ["literal", ids ?? []]]] });
  const two = ["!=", ["coalesce", ["get", "second"], ""], ""], unserved = ["!", ["coalesce", ["get", "served"], false]];
  // All of it is one source, and said at once: the map is drawn once, not first empty and then part by part.
  const map = new GLMap({
    container: box,
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    cooperativeGestures: false,
    scrollZoom: false,
    fadeDuration: 0,
    validateStyle: false, // it is written below
    ...(data.bounds && { bounds: data.bounds, fitBoundsOptions: { padding: Math.min(56, box.clientWidth / 10), maxZoom: 14 } }),
    locale: { "NavigationControl.ZoomIn": word["page.zoom_in"], "NavigationControl.ZoomOut": word["page.zoom_out"], "Popup.Close": word["page.close"], "Map.Title": word["page.map.alt"] },
    localIdeographFontFamily: "'Noto Sans JP','Noto Sans CJK JP',sans-serif",
    style: {
      version: 8,
      sources: { design: { type: "geojson", data: data.drawn } },
      layers: [
        { id: "ground", type: "background", paint: { "background-color": "#eef3f7" } },
        layer("hazard", { type: "fill", paint: { "fill-color": "#b3261e", "fill-opacity": 0.18, "fill-outline-color": "#b3261e" } }),
        layer("plant", { type: "line", layout: { "line-cap": "round", visibility: "none" }, paint: { "line-color": "#8a6d00", "line-width": 9, "line-opacity": 0.35 } }),
        layer("candidate", { type: "line", paint: { "line-color": "#aab6c2", "line-width": 1 } }),
        layer("link", { type: "line", layout: { "line-cap": "round" }, paint: { "line-color": colour, "line-width": 3.5 } }),
        layer("air", { type: "line", paint: { "line-color": colour, "line-width": 2, "line-dasharray": [2, 2] } }),
        lost("link", cut.streets, { id: "lost", type: "line", layout: { "line-cap": "butt" }, paint: { "line-color": UNSERVED, "line-width": 7, "line-dasharray": [1, 0.6] } }),
        lost("site", cut.off, { id: "off", type: "circle", paint: { "circle-radius": 12, "circle-color": "transparent", "circle-stroke-color": UNSERVED, "circle-stroke-width": 3 } }),
        layer("place", { type: "symbol", layout: { "icon-image": "square", "icon-allow-overlap": true, "icon-ignore-placement": true } }),
        layer("site", {
          type: "circle",
          paint: {
            "circle-radius": ["case", ["coalesce", ["get", "critical"], false], 7, 5.5],
            "circle-color": colour,
            "circle-stroke-color": ["case", unserved, UNSERVED, two, byTechnology("second"), "#fff"],
            "circle-stroke-width": ["case", ["any", unserved, two], 3.5, 1.5],
          },
        }),
      ],
    },
  });
  map.once("style.load", () => map.addImage("square", square(), { pixelRatio: 2 }));
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }));
  map.addControl(new ScaleControl());

  const about = ({ properties }) => {
    const node = document.createElement("div");
    node.append(line(properties.name, "b"));
    if (properties.part === "place") node.append(line(word[`page.place.${properties.kind}`] ?? properties.kind));
    else {
      const ids = typeof properties.technologies === "string" ? JSON.parse(properties.technologies) : (properties.technologies ?? []); // the map hands lists back as text
      node.append(line(ids.map((id) => names.get(id) ?? id).join(" + ") || word["plan.unserved_mark"]));
    }
    if (properties.assumed) node.append(line(word["page.assumed"]));
    const row = document.querySelector(`tr[data-site="${CSS.escape(properties.id)}"]`);
    const texts = row ? [4, 5].map((column) => row.cells[column]) : [];
    for (const cell of texts) node.append(line(`${cell.dataset.label}: ${told(cell)}`));
    if (!row && properties.part === "site") node.append(link(`?${asked({ site: properties.id })}#sites`, word["page.in_the_table"]));
    return node;
  };
  const asked = (more) => new URLSearchParams({ lang: document.documentElement.lang, ...more });
  const link = (href, text) => Object.assign(document.createElement("a"), { href, textContent: text });
  const told = (cell) => [...cell.childNodes].filter((part) => part.nodeName !== "DETAILS").map((part) => part.textContent.trim()).filter(Boolean).join(" ");
  const hover = new Popup({ closeButton: false, closeOnClick: false, maxWidth: "18rem", className: "hover" });
  let opened;
  const show = (feature) => {
    hover.remove();
    opened?.remove();
    opened = new Popup({ maxWidth: "18rem", focusAfterOpen: false }).setLngLat(feature.geometry.coordinates.slice(0, 2)).setDOMContent(about(feature)).addTo(map);
    for (const row of document.querySelectorAll("tr[data-site]")) row.classList.toggle("on", row.dataset.site === feature.properties.id);
  };
  for (const id of ["site", "place"]) {
    map.on("click", id, (event) => show(event.features[0]));
    map.on("mouseenter", id, (event) => {
      map.getCanvas().style.cursor = "pointer";
      const feature = event.features[0];
      hover.setLngLat(feature.geometry.coordinates.slice(0, 2)).setDOMContent(about(feature)).addTo(map);
    });
    map.on("mouseleave", id, () => {
      map.getCanvas().style.cursor = "";
      hover.remove();
    });
  }
  map.on("click", "link", (event) => {
    if (map.queryRenderedFeatures(event.point, { layers: ["site", "place"] }).length) return;
    const { properties } = event.features[0];
    const node = document.createElement("div");
    node.append(line(names.get(properties.technology) ?? properties.text ?? "", "b"), line(`${Number(properties.length_m).toLocaleString()} m`), link(`?${asked({ cut: `street:${properties.id}` })}#cut`, word["design.cut_it"]));
    opened?.remove();
    opened = new Popup({ maxWidth: "18rem", focusAfterOpen: false }).setLngLat(event.lngLat).setDOMContent(node).addTo(map);
  });
  map.on("mouseenter", "link", () => (map.getCanvas().style.cursor = "pointer"));
  map.on("mouseleave", "link", () => (map.getCanvas().style.cursor = ""));
  for (const choice of document.querySelectorAll("input[data-layer]"))
    choice.addEventListener("change", () => map.setLayoutProperty(choice.dataset.layer, "visibility", choice.checked ? "visible" : "none"));
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const open = (row) => {
    const feature = data.drawn.features.find((item) => item.properties.part === "site" && item.properties.id === row.dataset.site);
    if (!feature) return;
    map.easeTo({ center: feature.geometry.coordinates, zoom: Math.max(map.getZoom(), 12), duration: calm ? 0 : 400 });
    show(feature);
    box.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  };
  await new Promise((done) => map.once("idle", done)); // the rows wait until the map is there
  for (const row of document.querySelectorAll("tr[data-site]")) {
    const name = row.querySelector(".name");
    const button = Object.assign(line(name.textContent, "button"), { type: "button", className: "name", lang: name.lang });
    button.setAttribute("aria-label", word["page.show_on_map"].replace("{name}", name.textContent));
    if (!name.lang) button.removeAttribute("lang");
    name.replaceWith(button);
    row.addEventListener("click", (event) => event.target.closest("a") || open(row));
  }
  box.dataset.after = Math.round(performance.now()); // ms since the page was called
  box.dataset.ready = "yes";
}

const mapBox = document.getElementById("map");
if (mapBox) {
  drawMap(mapBox).catch((error) => {
    document.documentElement.classList.add("still"); // without WebGL the still picture stays
    console.warn(error);
  });
}
