// The page that tries the interface out: reads openapi.json, shows its operations, sends what is filled in, shows the answer.
// Text is only ever set as text, so that nothing a broker answers becomes part of the page.
"use strict";

const words = JSON.parse(document.body.dataset.words);
const lang = document.documentElement.lang;
const work = document.querySelector(".work");
const one = document.querySelector(".one");
const find = document.getElementById("find");
let token = "";
let turn = 0;

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== false) element.setAttribute(key, value === true ? "" : value);
  element.append(...children);
  return element;
}

function listed(spec) {
  const found = [];
  for (const [path, methods] of Object.entries(spec.paths))
    for (const [method, operation] of Object.entries(methods))
      found.push({ method: method.toUpperCase(), path, key: `${method.toUpperCase()} ${path}`, ...operation });
  return found;
}

function showList(operations, tags) {
  const areas = document.querySelector(".areas");
  const rows = [];
  for (const tag of tags) {
    const list = make("ul");
    const area = make("details", {}, make("summary", {}, tag), list);
    for (const operation of operations.filter((each) => each.tags[0] === tag)) {
      const link = make("a", { href: "#" + encodeURIComponent(operation.key) },
        make("span", { class: `method ${operation.method}` }, operation.method), make("span", { class: "does" }, operation.summary), make("span", { class: "path" }, operation.path));
      const row = make("li", {}, link);
      list.append(row);
      rows.push({ row, area, link, key: operation.key, text: `${operation.method} ${operation.path} ${operation.summary} ${tag}`.toLowerCase() });
    }
    areas.append(area);
  }
  const filter = () => {
    const sought = find.value.trim().toLowerCase().split(/\s+/);
    let count = 0;
    for (const each of rows) {
      each.row.hidden = !sought.every((word) => each.text.includes(word));
      count += each.row.hidden ? 0 : 1;
    }
    for (const area of areas.children) {
      const any = [...area.querySelectorAll("li")].some((row) => !row.hidden);
      area.hidden = !any;
      if (find.value.trim()) area.open = any;
    }
    document.querySelector(".count").textContent = `${count} ${words.found}`;
  };
  find.addEventListener("input", filter);
  filter();
  return rows;
}

function field(label, note, input, must) {
  input.id = `f${turn++}`;
  const head = make("label", { for: input.id }, label);
  if (must) head.append(make("span", { class: "must" }, words.required));
  const box = make("div", { class: "field" }, head, input);
  if (note) {
    const hint = make("p", { class: "small", id: `${input.id}n` }, note);
    input.setAttribute("aria-describedby", hint.id);
    box.append(hint);
  }
  return box;
}

function input(schema) {
  const offered = schema.enum || (schema.type === "boolean" ? ["true", "false"] : null);
  if (offered) return make("select", {}, make("option", { value: "" }, ""), ...offered.map((value) => make("option", { value }, value)));
  return make("input", { type: schema.type === "integer" ? "number" : "text", min: schema.type === "integer" && "minimum" in schema ? String(schema.minimum) : false, autocomplete: "off", spellcheck: "false" });
}

function showOne(operation) {
  const values = [];
  const parts = (place) => operation.parameters.filter((each) => each.in === place).map((each) => {
    const element = input(each.schema);
    element.required = Boolean(each.required);
    values.push({ ...each, element });
    return field(each.name, each.description, element, each.required);
  });
  const form = make("form", { novalidate: true });
  const path = parts("path");
  const query = parts("query");
  const headers = parts("header");
  const shown = query.length > 6 ? query.splice(6) : [];
  if (path.length + query.length) form.append(make("h3", {}, words.parameters), make("div", { class: "fields" }, ...path, ...query));
  if (shown.length) form.append(make("details", { class: "more" }, make("summary", {}, `${words.more} (${shown.length})`), make("div", { class: "fields" }, ...shown)));
  const secret = make("input", { type: "password", autocomplete: "off" });
  secret.value = token;
  const answers = Object.keys(Object.values(operation.responses)[0].content || {});
  const accept = make("select", {}, ...answers.map((value) => make("option", { value }, value)));
  const extra = [...headers, field(words.token, "Authorization: Bearer …", secret, false)];
  if (answers.length > 1) extra.unshift(field(words.accept, "Accept", accept, false));
  form.append(make("details", { class: "more" }, make("summary", {}, words.headers), make("div", { class: "fields" }, ...extra)));
  let body = null;
  let media = null;
  if (operation.requestBody) {
    const content = operation.requestBody.content;
    body = make("textarea", { spellcheck: "false", autocomplete: "off" });
    body.value = JSON.stringify(content["application/json"].example, null, 2);
    media = make("select", {}, ...Object.keys(content).map((value) => make("option", { value }, value)));
    form.append(make("h3", {}, words.body));
    if (Object.keys(content).length > 1) form.append(make("div", { class: "fields" }, field(words.media, "Content-Type", media, false)));
    form.append(field("JSON", "", body, true));
  }
  const reads = operation.method === "GET" || operation["x-operation"].endsWith(".read");
  if (!reads) form.append(make("p", { class: operation["x-operation"].endsWith(".delete") ? "note bad" : "note" }, operation["x-operation"].endsWith(".delete") ? words.deletes : words.changes));
  const send = make("button", { type: "submit" }, words.send);
  const answer = make("div", { class: "answer", role: "status", hidden: true });
  form.append(send);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    token = secret.value;
    const missing = values.filter((each) => each.required && !each.element.value);
    if (missing.length) {
      answer.hidden = false;
      answer.replaceChildren(make("p", { class: "note bad" }, `${words.missing}: ${missing.map((each) => each.name).join(", ")}`));
      missing[0].element.focus();
      return;
    }
    const request = build(operation, values, { accept: answers.length ? accept.value : "", body: body && body.value, media: media && media.value });
    send.disabled = true;
    send.textContent = words.sending;
    try {
      await ask(request, answer);
    } finally {
      send.disabled = false;
      send.textContent = words.send;
    }
  });
  const title = make("h2", { tabindex: "-1" }, operation.summary);
  one.replaceChildren(title,
    make("p", { class: "address" }, make("span", { class: `method ${operation.method}` }, operation.method), make("code", { class: "path" }, operation.path)),
    make("p", { class: "small" }, `${words.right}: `, make("code", {}, operation["x-operation"])), form, answer);
  return title;
}

function build(operation, values, rest) {
  let path = operation.path;
  const query = [];
  const headers = {};
  for (const { name, in: place, element } of values) {
    const value = element.value;
    if (!value) continue;
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(value).replaceAll("%3A", ":"));
    if (place === "query") query.push(`${name}=${encodeURIComponent(value)}`);
    if (place === "header") headers[name] = value;
  }
  if (rest.accept) headers.Accept = rest.accept;
  if (rest.body !== null) headers["Content-Type"] = rest.media;
  if (token) headers.Authorization = `Bearer ${token}`;
  const url = new URL("." + path + (query.length ? "?" + query.join("&") : ""), document.baseURI);
  return { method: operation.method, url: url.href, headers, body: rest.body };
}

function command(request) {
  const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const parts = [`curl -X ${request.method} ${quoted(request.url)}`];
  for (const [name, value] of Object.entries(request.headers)) parts.push(`-H ${name === "Authorization" ? '"Authorization: Bearer $TOKEN"' : quoted(`${name}: ${value}`)}`);
  if (request.body !== null) parts.push(`-d ${quoted(request.body)}`);
  return parts.join(" \\\n  ");
}

async function ask(request, answer) {
  const began = performance.now();
  let shown;
  try {
    const reply = await fetch(request.url, { method: request.method, headers: request.headers, body: request.body === null ? undefined : request.body, redirect: "manual", credentials: "omit", cache: "no-store" });
    const text = await reply.text();
    const spent = Math.round(performance.now() - began);
    shown = [make("p", {}, make("span", { class: reply.ok ? "status" : "status bad" }, `${reply.status} ${reply.statusText}`.trim()), ` ${spent} ms`),
      make("pre", { tabindex: "0" }, pretty(text) || words.empty),
      make("details", { class: "more" }, make("summary", {}, words.headers), make("pre", { tabindex: "0" }, [...reply.headers].map(([name, value]) => `${name}: ${value}`).join("\n")))];
  } catch (error) {
    shown = [make("p", { class: "note bad" }, `${words.unreached} (${error.message})`)];
  }
  answer.hidden = false;
  answer.replaceChildren(make("h3", {}, words.answer), ...shown, make("h3", {}, words.command), make("pre", { tabindex: "0" }, command(request)));
  if (answer.getBoundingClientRect().top > innerHeight - 200) answer.scrollIntoView();
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function start() {
  const spec = await (await fetch(`openapi.json?lang=${lang}`)).json();
  const operations = listed(spec);
  const rows = showList(operations, spec.tags.map((tag) => tag.name));
  const choose = (focus) => {
    const key = decodeURIComponent(location.hash.slice(1)) || operations[0].key;
    const operation = operations.find((each) => each.key === key) || operations[0];
    for (const each of rows) {
      if (each.key === operation.key) {
        each.link.setAttribute("aria-current", "true");
        each.area.open = true;
      } else each.link.removeAttribute("aria-current");
    }
    const title = showOne(operation);
    for (const link of document.querySelectorAll("a[hreflang]")) link.hash = location.hash;
    if (focus) {
      title.focus({ preventScroll: true });
      if (title.getBoundingClientRect().top > innerHeight / 2 || title.getBoundingClientRect().top < 0) title.scrollIntoView();
    }
  };
  addEventListener("hashchange", () => choose(true));
  work.hidden = false;
  choose(Boolean(location.hash));
}

start();
