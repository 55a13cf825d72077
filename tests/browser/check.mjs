// Plays a small ledger with hostile texts, exports it, and looks at what came out.
// node check.mjs STEPSEAL CHROMIUM PAGES WORK
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { chromium } from "playwright-core";

const [stepseal, browserPath, pages, work] = process.argv.slice(2);
fs.mkdirSync(pages, { recursive: true });
const repo = path.join(work, "repo");
fs.mkdirSync(repo, { recursive: true });

// Each act is an hour after the one before.
let hour = 0;
const start = Date.UTC(2026, 10, 2, 8);
const run = (args, executor = "agent-1") =>
  execFileSync(stepseal, args, {
    cwd: repo,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      HOME: work,
      LANG: "C.UTF-8",
      GIT_CONFIG_NOSYSTEM: "1",
      STEPSEAL_EXECUTOR: executor,
      STEPSEAL_PRINCIPAL: "maintainer-1",
      STEPSEAL_LEDGER_DURABILITY: "process",
      STEPSEAL_NOW: new Date(start + ++hour * 3_600_000).toISOString(),
    },
  });
execFileSync("git", ["init", "--quiet"], { cwd: repo });
run(["init", "--quiet"]);

const hostile = [
  "</title></style></svg><script>document.title = 'owned'</script>",
  "\"><img src=x onerror=\"document.title='owned'\">",
  "%%{init: {}}%% \"]; click s0 \"javascript:alert(1)\" `x` <b>y</b>",
  "A rather long title that says everything there is to say about this piece of work and more",
];
fs.writeFileSync(
  path.join(repo, "page.yaml"),
  `name: page
steps:
  - { key: design, title: ${JSON.stringify(hostile[0])} }
  - { key: draft, order: 2, parallelizable: true, title: ${JSON.stringify(hostile[1])} }
  - { key: pictures, order: 2, parallelizable: true, title: Draw the pictures }
  - { key: check, order: 3, title: ${JSON.stringify(hostile[2])}, gate: { kind: review, rejectTo: draft } }
  - { key: publish, order: 4, title: Put it online }
`,
);
const steps = ["design", "draft", "pictures", "check", "publish"];
for (let n = 0; n < 12; n++) {
  const item = `PAGE-${n}`;
  run(["delegate", "--plan", "page.yaml", "--work-item", item, `--title=${hostile[n % 4]}`, `--label=${hostile[1]}`]);
  const at = ["--work-item", item, "--step"];
  const executor = `agent-${n}`;
  const work = (step, ...ending) => {
    run(["claim", ...at, step], executor);
    run(["complete", ...at, step, "--outcome", hostile[2], ...ending], executor);
  };
  // So many acts of each, so that every state is there: the last ones are hardly begun.
  let acts = n < 7 ? 99 : 11 - n;
  for (const step of steps) {
    if (acts-- <= 0) break;
    if (step !== "check") {
      if (n % 5 === 2 && step === "draft") {
        work(step, "--status", "failed");
        run(["requeue", ...at, step]);
      }
      work(step);
    } else {
      if (n % 3 === 1) {
        run(["gate", "reject", ...at, step, "--reason", hostile[0]]);
        work("draft");
      }
      run(["gate", "approve", ...at, step, "--reason", "good"]);
    }
  }
}
run(["review", "flag", "--work-item", "PAGE-11", "--reason", hostile[1]]);
run(["blocker", "declare", "--work-item", "PAGE-10", "--type", "decision", "--notes", hostile[0]]);
run(["claim", "--work-item", "PAGE-9", "--step", "pictures"], "agent-9");
fs.writeFileSync(
  path.join(repo, "wide.yaml"),
  "name: wide\nsteps:\n" +
    Array.from({ length: 26 }, (_, n) =>
      `  - { key: s${n}, order: 1, parallelizable: true, needs: [${n > 5 ? `s${n - 5}${n % 2 ? `, s${n - 6}` : ""}` : ""}] }\n`,
    ).join(""),
);
run(["delegate", "--plan", "wide.yaml", "--work-item", "WIDE"]);

const exported = {
  "portfolio.html": run(["export", "--format", "html"]),
  "one.html": run(["export", "PAGE-1", "--format", "html"]),
  "wide.html": run(["export", "WIDE", "--format", "html"]),
  "none.html": run(["export", "--format", "html", "--label", "nobody's"]),
};
for (const [name, text] of Object.entries(exported)) fs.writeFileSync(path.join(pages, name), text);
const blocks = [...run(["export", "--format", "md"]).matchAll(/```mermaid\n([\s\S]*?)```/g)].map((m) => m[1]);

const wrong = [];
const browser = await chromium.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
let looks = 0;
for (const name of Object.keys(exported)) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [width, media] of [[1200, "screen"], [380, "screen"], [800, "print"]]) {
      const where = `${name} ${colorScheme} ${width} ${media}`;
      const context = await browser.newContext({ viewport: { width, height: 1000 }, colorScheme });
      const page = await context.newPage();
      const requests = [];
      page.on("request", (request) => requests.push(request.url()));
      page.on("console", (message) => wrong.push(`${where}: console: ${message.text()}`));
      page.on("pageerror", (error) => wrong.push(`${where}: ${error}`));
      await page.emulateMedia({ media, colorScheme });
      const title = exported[name].match(/<title>(.*?)<\/title>/)[1];
      await page.goto(`file://${path.join(pages, name)}`);
      if (requests.length !== 1) wrong.push(`${where}: requests ${requests}`);
      if ((await page.title()) === "owned" || !title) wrong.push(`${where}: a script ran`);
      // Whatever is folded away is looked at as well.
      await page.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
      const styled = await page.evaluate(() => getComputedStyle(document.body).maxWidth !== "none");
      if (!styled && media === "screen") wrong.push(`${where}: the policy refuses the page's own style`);
      const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      if (content > view && media === "screen") wrong.push(`${where}: ${content} wide in ${view}`);
      const axe = await new (AxeBuilder.default ?? AxeBuilder)({ page }).analyze();
      for (const violation of axe.violations) {
        wrong.push(`${where}: axe ${violation.id} (${violation.impact}): ${violation.nodes[0].html.slice(0, 200)}`);
      }
      await page.evaluate(() => document.querySelectorAll("article details").forEach((d) => (d.open = false)));
      if (media === "print") {
        await page.pdf({ path: path.join(pages, `${name}-${colorScheme}.pdf`), format: "A4" });
      } else {
        await page.screenshot({ path: path.join(pages, `${name}-${colorScheme}-${width}.png`), fullPage: true });
      }
      looks += 1;
      await context.close();
    }
  }
}

// A page that breaks its own policy is refused by the browser: the check can fail.
{
  const page = await (await browser.newContext()).newPage();
  const refused = [];
  page.on("console", (message) => refused.push(message.text()));
  const broken = exported["one.html"].replace("</body>", "<script>document.title = 'owned'</script></body>");
  const file = path.join(work, "broken.html");
  fs.writeFileSync(file, broken);
  await page.goto(`file://${file}`);
  if ((await page.title()) === "owned" || !refused.length) wrong.push("the policy lets a script run");
}

const page = await (await browser.newContext()).newPage();
await page.setContent("<div></div>");
await page.addScriptTag({ path: path.join(import.meta.dirname ?? path.dirname(process.argv[1]), "node_modules/mermaid/dist/mermaid.min.js") });
const parse = (text) =>
  page.evaluate(async (text) => {
    try {
      await mermaid.parse(text);
      return null;
    } catch (error) {
      return String(error);
    }
  }, text);
for (const block of blocks) {
  const error = await parse(block);
  if (error) wrong.push(`mermaid: ${error}\n${block}`);
}
if (!(await parse("flowchart LR\n a[1 (plan] --> b"))) wrong.push("mermaid parses anything");
await browser.close();

for (const line of wrong) console.error(line);
const count = `${Object.keys(exported).length} pages looked at ${looks} times, ${blocks.length} Mermaid blocks parsed`;
console.log(wrong.length ? `FAILED: ${wrong.length} findings; ${count}` : `ok: ${count}`);
process.exit(wrong.length ? 1 : 0);
