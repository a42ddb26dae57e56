// Charts of amounts by year: every `.chart` brings its numbers as JSON, and a table on the same page says the same without it.
import * as echarts from "./vendor/echarts.esm.min.mjs";

const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b4c9a", "#8c510a"];

function draw(box) {
  const { years, unit, series } = JSON.parse(box.dataset.chart);
  const style = getComputedStyle(box), ink = style.color, rule = style.getPropertyValue("--rule").trim();
  const chart = echarts.getInstanceByDom(box) ?? echarts.init(box, null, { renderer: "canvas" });
  const axis = { axisLabel: { color: ink }, nameTextStyle: { color: ink, align: "left" }, splitLine: { lineStyle: { color: rule } } };
  chart.setOption({
    animation: false,
    color: COLOURS,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: ink },
    grid: { left: 8, right: 8, top: 64, bottom: 8, containLabel: true },
    legend: { top: 0, left: 0, type: "scroll", textStyle: { color: ink } },
    tooltip: { trigger: "axis", valueFormatter: (value) => value.toLocaleString() },
    xAxis: { type: "category", data: years, ...axis, splitLine: undefined },
    yAxis: { type: "value", name: unit, ...axis },
    series: series.map((one) => ({ name: one.name, type: "bar", stack: "all", data: one.data })),
  });
  return chart;
}

document.documentElement.classList.add("js");
const boxes = [...document.querySelectorAll(".chart[data-chart]")];
const charts = boxes.map(draw);
addEventListener("resize", () => charts.forEach((chart) => chart.resize()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => boxes.forEach(draw));
