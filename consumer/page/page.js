// The page's script: draws each snapshot of the pods into the elements that are there. Text alone is put in, never HTML;
// rows are used again, so that a page left open for days holds no more than on its first.
"use strict";

(() => {
  const STALE_MS = 4000;
  const AGAIN_MS = 5000;
  const MAX_PARTITIONS = 60;
  const MAX_NAMES = 25;
  const OUTCOMES = ["delivered", "merged", "suppressed", "filtered", "skipped", "dead_lettered"];
  const LEDGER = ["received", ...OUTCOMES, "released", "open"];

  const at = (id) => document.getElementById(id);
  const whole = new Intl.NumberFormat("en-US");
  const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

  // --- words and numbers

  const count = (n) => (n === null || n === undefined ? "–" : whole.format(n));
  const figure = (n) => (n === null || n === undefined ? "–" : n >= 100000 ? short.format(n) : whole.format(n));
  const pace = (n) => (n >= 10 || n === 0 ? figure(Math.round(n)) : n.toFixed(1));
  const two = (n) => String(n).padStart(2, "0");

  function span(seconds) {
    if (seconds === null || seconds === undefined) return "–";
    if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    if (seconds < 100) return `${Math.round(seconds)} s`;
    if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
    if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
    return `${(seconds / 86400).toFixed(1)} days`;
  }

  function time(ms, now) {
    if (!ms) return "–";
    const t = new Date(ms);
    const clock = `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}`;
    return now - ms < 43200000 ? clock : `${t.toISOString().slice(0, 10)} ${clock}`;
  }

  // --- elements

  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function mark(element, name, value) {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }

  // What stands between backticks is code.
  function sayWithCode(element, text) {
    if (element.dataset.text === text) return;
    element.dataset.text = text;
    element.replaceChildren(...text.split("`").map((part, place) => {
      if (place % 2 === 0) return document.createTextNode(part);
      const code = document.createElement("code");
      code.textContent = part;
      return code;
    }));
  }

  // As many children as items, each drawn anew in its place.
  function children(parent, tag, items, draw) {
    while (parent.children.length > items.length) parent.lastElementChild.remove();
    while (parent.children.length < items.length) parent.append(document.createElement(tag));
    items.forEach((item, place) => draw(parent.children[place], item, place));
  }

  // A row of [label, text, classes] each.
  function cells(row, values) {
    children(row, "td", values, (cell, [label, text, classes]) => {
      mark(cell, "data-label", label);
      mark(cell, "class", classes || "");
      say(cell, text);
    });
  }

  // --- the parts of the page

  function drawWords(view) {
    const { level, headline, detail, steps } = view.words;
    mark(at("main"), "data-level", level);
    say(at("headline"), headline);
    say(at("detail"), detail);
    at("steps").hidden = steps.length === 0;
    children(at("steps"), "li", steps, sayWithCode);
    const title = `${level === "good" ? "" : level === "notice" ? "◦ " : "● "}${headline}`;
    if (document.title !== title) document.title = title;
  }

  function drawPods(view) {
    const { own, alone, answered, asked, silent, problem } = view.pods;
    const versions = view.versions.join(", ");
    let text = alone ? `What pod ${own} alone sees` : `${answered} of ${asked} pods answered, asked by ${own}`;
    if (silent.length) text += `; silent: ${silent.slice(0, 5).join(", ")}${silent.length > 5 ? " …" : ""}`;
    if (problem) text += `; ${problem}`;
    say(at("pods"), `${text} · ${versions}`);
  }

  function drawFigures(view) {
    const { rates, ledger, partitions } = view;
    say(at("delivered"), pace(rates.delivered));
    say(at("received"), pace(rates.received));
    say(at("p50"), span(rates.p50_s));
    say(at("p99"), span(rates.p99_s));
    say(at("open"), figure(ledger.open));
    const known = partitions.filter((one) => one.backlog !== null);
    say(at("backlog"), known.length ? figure(known.reduce((sum, one) => sum + one.backlog, 0)) : "–");
    const seconds = rates.seconds.slice(-60);
    const peak = Math.max(1, ...seconds);
    const points = seconds.map((n, place) => `${60 - seconds.length + place + 1},${(19 - 18 * n / peak).toFixed(2)}`);
    mark(at("line"), "points", points.join(" "));
    mark(at("area"), "d", points.length ? `M${60 - seconds.length + 1},20 L${points.join(" L")} L60,20 Z` : "");
    say(at("peak"), `peak ${count(Math.max(0, ...seconds))}`);
  }

  function drawLedger(view) {
    const { types, released, open, unaccounted } = view.ledger;
    const names = Object.keys(types);
    const rows = names.map((name) => [name, types[name], null]);
    const all = Object.fromEntries(LEDGER.map((key) => [key, names.reduce((sum, name) => sum + types[name][key], 0)]));
    if (rows.length) rows.push(["all", { ...all, released, open }, unaccounted]);
    at("no-ledger").hidden = rows.length > 0;
    children(at("ledger"), "tr", rows, (row, [name, counts, missing]) => {
      mark(row, "class", name === "all" ? "all" : "");
      const values = LEDGER.map((key) => {
        const value = counts[key];
        const classes = value === 0 ? "n zero" : key === "dead_lettered" ? "n notice" : "n";
        return [key.replace("_", "-"), count(value), classes];
      });
      const last = missing === null ? "n empty-cell" : missing === 0 ? "n good" : "n bad";
      cells(row, [["type", name, ""], ...values, ["unaccounted", missing === null ? "" : count(missing), last]]);
    });
  }

  function drawGates(view) {
    children(at("gates"), "tr", view.gates, (row, gate) => {
      const where = gate.pods < gate.of_pods ? ` (at ${gate.pods} of ${gate.of_pods} pods)` : "";
      const answers = Object.entries(gate.statuses).sort((a, b) => b[1] - a[1]).slice(0, 6);
      const classes = { open: "good", circuit: "notice" }[gate.state] || "bad";
      cells(row, [
        ["route", gate.route, ""],
        ["state", gate.words + where, `${gate.doubt && gate.state === "open" ? "notice" : classes} long`],
        ["since", time(gate.since_ms, view.now_ms), "n"],
        ["in flight, of at most", `${count(gate.in_flight)} of ${count(gate.limit)}`, "n"],
        ["waiting", count(gate.waiting) + (gate.aside ? `, ${count(gate.aside)} set aside` : ""), "n"],
        ["answers", answers.map(([status, n]) => `${status}: ${count(n)}`).join("  ·  ") || "none yet", "soft"],
      ]);
    });
  }

  function waiting(by) {
    if (!by) return "";
    const front = by.behind ? ` behind ${by.front}` : "";
    const tried = by.attempts ? `, ${by.attempts} attempt${by.attempts === 1 ? "" : "s"}, last answer ${by.status}` : "";
    const lane = by.lane ? ` (lane ${by.lane})` : "";
    return `${by.position}${lane} waits for ${by.waits_for}${front}${tried}: ${by.remedy}`;
  }

  function drawPartitions(view) {
    const worst = [...view.partitions].sort((a, b) => (b.blocked_s - a.blocked_s) || ((b.backlog || 0) - (a.backlog || 0)));
    const kept = new Set(worst.slice(0, MAX_PARTITIONS));
    const shown = view.partitions.filter((one) => kept.has(one));
    at("no-partitions").hidden = shown.length > 0;
    const more = view.partitions.length - shown.length;
    at("more-partitions").hidden = more === 0;
    say(at("more-partitions"), `and ${count(more)} more, in less trouble than these`);
    children(at("partitions"), "tr", shown, (row, one) => {
      const held = one.blocked_s >= 60 ? "n notice" : one.blocked_s >= 1 ? "n" : "n zero";
      const since = time(view.now_ms - one.blocked_s * 1000, view.now_ms);
      const pod = view.pods.alone ? "" : ` at ${one.pod}`;
      cells(row, [
        ["partition", `${one.topic}-${one.partition}${pod}`, ""],
        ["lag", count(one.lag), one.lag ? "n" : "n zero"],
        ["backlog", count(one.backlog), one.backlog ? "n" : "n zero"],
        ["oldest open", one.oldest_ms === null ? "–" : span(one.oldest_ms / 1000), one.oldest_ms === null ? "n zero" : "n"],
        ["held for", one.blocked_s >= 1 ? `${span(one.blocked_s)}${one.blocked_s >= 60 ? `, since ${since}` : ""}` : "–", held],
        ["waits", waiting(one.blocked_by) || "–", one.blocked_by ? "long" : "zero"],
      ]);
    });
  }

  function drawCases(view) {
    const { cases, topic, parked } = view.letters;
    say(at("dead-topic"), topic);
    say(at("parked"), parked ? ` ${count(parked)} more wait for the topic's acknowledgement.` : "");
    at("no-cases").hidden = cases.length > 0;
    children(at("cases"), "li", cases, (item, one) => {
      const status = one.status ? ` --status ${one.status}` : "";
      const parts = [
        ["what", `${count(one.count)} × ${one.reason}${one.status ? `, ${one.status}` : ""} · ${one.type}${one.field ? ` · ${one.field}` : ""}`],
        ["why", one.message],
        ["times", `first ${time(one.first_ms, view.now_ms)}, last ${time(one.last_ms, view.now_ms)}, the newest from ${one.position}`],
        ["do", `\`pendo-consumer dlq show ${one.letter}\``],
        ["do", `\`pendo-consumer dlq export --reason ${one.reason} --type ${one.type}${status} | pendo-consumer map\``],
      ];
      children(item, "p", parts, (line, [name, text]) => {
        mark(line, "class", name);
        sayWithCode(line, text);
      });
    });
  }

  function drawDays(view) {
    const days = view.days;
    const totals = new Map();
    for (const day of days) {
      for (const { type, event, delivered } of day.names) {
        const key = `${type}\n${event}`;
        const row = totals.get(key) || { type, event, all: 0, byDay: new Map() };
        row.all += delivered;
        row.byDay.set(day.day, delivered);
        totals.set(key, row);
      }
    }
    const rows = [...totals.values()].sort((a, b) => b.all - a.all);
    const rest = rows.splice(MAX_NAMES);
    const other = new Map(days.map((day) => [
      day.day, day.other + rest.reduce((sum, row) => sum + (row.byDay.get(day.day) || 0), 0)]));
    if ([...other.values()].some((n) => n > 0)) rows.push({ type: "", event: "other", byDay: other });
    at("no-days").hidden = rows.length > 0;
    const early = (place) => (days.length - place > 3 ? " early" : "");
    const heads = [["", "event"], ...days.map((day, place) => [early(place).trim(), new Date(day.day * 86400000).toISOString().slice(5, 10)])];
    children(at("day-heads"), "th", heads, (head, [classes, text]) => {
      mark(head, "class", classes);
      say(head, text);
    });
    children(at("days"), "tr", rows, (row, one) => {
      const name = one.event ? one.event : one.type;
      cells(row, [["event", name, ""], ...days.map((day, place) => {
        const n = one.byDay.get(day.day) || 0;
        return ["", count(n), `n${n ? "" : " zero"}${early(place)}`];
      })]);
    });
  }

  function draw(view) {
    drawWords(view);
    drawPods(view);
    drawFigures(view);
    drawLedger(view);
    drawGates(view);
    drawPartitions(view);
    drawCases(view);
    drawDays(view);
    const held = view.held.some((one) => one.reason === "operator");
    at("pause").disabled = held && view.pods.alone;
    say(at("age"), `Running since ${time(view.started_ms, view.now_ms)}.`);
  }

  // --- the stream

  let heardAt = null;
  let began = performance.now();
  let source = null;

  function listen() {
    source = new EventSource("api/events");
    source.addEventListener("snapshot", (event) => {
      heardAt = performance.now();
      draw(JSON.parse(event.data));
      look();
    });
    source.addEventListener("error", () => {
      // It connects again by itself unless it was refused, as when too many look on.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
      look();
    });
  }

  function look() {
    const silent = performance.now() - (heardAt === null ? began : heardAt);
    const stale = silent > STALE_MS;
    mark(at("live"), "data-state", stale ? "stale" : heardAt === null ? "waiting" : "live");
    at("main").toggleAttribute("data-stale", stale && heardAt !== null);
    const seconds = Math.round(silent / 1000);
    const word = seconds < 120 ? `${seconds} s` : span(seconds);
    say(at("live"), stale ? `no word from this pod for ${word}` : heardAt === null ? "connecting …" : "live");
  }

  // --- an operator's hand

  async function act(name, body) {
    const said = at("said");
    mark(said, "data-result", "");
    say(said, "asking …");
    try {
      const answer = await fetch(`api/${name}`, {
        method: "POST",
        headers: {
          "Authorization": `Bearer ${at("token").value}`,
          "Content-Type": "application/json",
          "X-Asked-By": "somebody at the page",
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(10000),
      });
      const found = await answer.json();
      mark(said, "data-result", answer.ok ? "done" : "refused");
      say(said, `${name}: ${found.message}`);
    } catch (error) {
      mark(said, "data-result", "refused");
      say(said, `${name}: no answer from this pod`);
    }
  }

  at("pause").addEventListener("click", () => act("pause", {}));
  at("resume").addEventListener("click", () => act("resume", {}));
  at("skip").addEventListener("click", () => act("skip", { position: at("position").value.trim() }));

  at("settings").addEventListener("toggle", async () => {
    if (!at("settings").open) return;
    const answer = await fetch("api/settings");
    const found = await answer.json();
    children(at("keys"), "tr", found.settings, (row, one) => {
      mark(row, "class", one.default ? "" : "set");
      cells(row, [["", one.key, ""], ["", one.value === "" ? "–" : one.value, ""]]);
    });
  });

  setInterval(look, 1000);
  listen();
})();
