// The islands of the plan page: the map of design.geojson and the chart of the yearly cost. The tables say the same without them.
import { Map as GLMap, NavigationControl, Popup, ScaleControl, setWorkerUrl, LngLatBounds } from "./vendor/maplibre-gl.mjs";
import * as echarts from "./vendor/echarts.esm.min.mjs";

// Okabe–Ito colours, told apart by people who do not see red and green; the order of the legend decides.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b4c9a", "#8c510a"];
const technologies = [...document.querySelectorAll("#legend .swatch")].map((node) => node.dataset.technology);
const colourOf = (id) => COLOURS[technologies.indexOf(id) % COLOURS.length] ?? "#666";
for (const node of document.querySelectorAll(".swatch")) node.style.background = colourOf(node.dataset.technology);

const escape = (text) => String(text).replace(/[&<>"']/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[sign]);

async function drawMap(box) {
  const data = await (await fetch(box.dataset.geojson)).json();
  setWorkerUrl(new URL("./vendor/maplibre-gl-worker.mjs", import.meta.url).href);
  const match = ["match", ["get", "technology"], ...technologies.flatMap((id) => [id, colourOf(id)]), "#666"];
  const colour = technologies.length ? match : "#666";
  const map = new GLMap({
    container: box,
    attributionControl: false,
    localIdeographFontFamily: "'Noto Sans JP','Noto Sans CJK JP',sans-serif",
    style: { version: 8, sources: {}, layers: [{ id: "ground", type: "background", paint: { "background-color": "#eef3f7" } }] },
  });
  const bounds = new LngLatBounds();
  for (const feature of data.features) if (feature.geometry.type === "Point") bounds.extend(feature.geometry.coordinates);
  map.addControl(new NavigationControl({ showCompass: false }));
  map.addControl(new ScaleControl());
  await new Promise((done) => map.once("load", done));
  if (!bounds.isEmpty()) map.fitBounds(bounds, { padding: 48, duration: 0, maxZoom: 14 });
  map.addSource("design", { type: "geojson", data });
  const layer = (part, more) => map.addLayer({ source: "design", ...more, filter: ["==", ["get", "part"], part] });
  layer("boundary", { id: "boundary", type: "fill", paint: { "fill-color": "#ffffff", "fill-outline-color": "#9aa7b4" } });
  layer("candidate", { id: "candidate", type: "line", paint: { "line-color": "#c3ccd6", "line-width": 1 } });
  layer("link", { id: "link", type: "line", layout: { "line-cap": "round" }, paint: { "line-color": colour, "line-width": 3.5 } });
  layer("air", { id: "air", type: "line", paint: { "line-color": colour, "line-width": 2, "line-dasharray": [2, 2] } });
  layer("place", { id: "place", type: "circle", paint: { "circle-radius": 6, "circle-color": "#fff", "circle-stroke-color": "#1a1a1a", "circle-stroke-width": 2.5 } });
  layer("site", { id: "site", type: "circle", paint: { "circle-radius": ["case", ["get", "critical"], 8, 6], "circle-color": colour, "circle-stroke-color": ["case", ["get", "served"], "#fff", "#a1000e"], "circle-stroke-width": ["case", ["get", "served"], 1.5, 3.5] } });
  const show = (feature) => {
    const { name, text } = feature.properties;
    new Popup({ maxWidth: "18rem" }).setLngLat(feature.geometry.coordinates.slice(0, 2)).setHTML(`<b>${escape(name)}</b><br>${escape(text ?? "")}`).addTo(map);
    for (const row of document.querySelectorAll("tr[data-site]")) row.classList.toggle("on", row.dataset.site === feature.properties.id);
  };
  for (const id of ["site", "place"]) {
    map.on("click", id, (event) => show(event.features[0]));
    map.on("mouseenter", id, () => (map.getCanvas().style.cursor = "pointer"));
    map.on("mouseleave", id, () => (map.getCanvas().style.cursor = ""));
  }
  const open = (row) => {
    const feature = data.features.find((item) => item.properties.part === "site" && item.properties.id === row.dataset.site);
    if (!feature) return;
    map.easeTo({ center: feature.geometry.coordinates, zoom: Math.max(map.getZoom(), 12), duration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 400 });
    show(feature);
  };
  for (const row of document.querySelectorAll("tr[data-site]")) {
    row.addEventListener("click", (event) => event.target.closest("a") || open(row));
    row.addEventListener("keydown", (event) => event.key === "Enter" && event.target === row && open(row));
  }
  map.once("idle", () => (box.dataset.ready = "yes"));
}

function drawChart(box) {
  const { years, unit, series } = JSON.parse(box.dataset.chart);
  const chart = echarts.init(box, null, { renderer: "canvas" });
  chart.setOption({
    animation: false,
    color: COLOURS,
    aria: { enabled: true },
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    grid: { left: 8, right: 8, top: 56, bottom: 8, containLabel: true },
    legend: { top: 0, left: 0, type: "scroll" },
    tooltip: { trigger: "axis", valueFormatter: (value) => value.toLocaleString() },
    xAxis: { type: "category", data: years },
    yAxis: { type: "value", name: unit, nameTextStyle: { align: "left" } },
    series: series.map((one) => ({ name: one.name, type: "bar", stack: "cost", data: one.data })),
  });
  addEventListener("resize", () => chart.resize());
}

const mapBox = document.getElementById("map");
if (mapBox) drawMap(mapBox);
const chartBox = document.getElementById("chart");
if (chartBox) drawChart(chartBox);
