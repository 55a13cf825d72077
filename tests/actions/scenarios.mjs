// The workflows, run to their end with the real program and a real remote: a wave that goes well,
// one with a failure and a cancelled job, a job that is run again, two orchestrators at once.
import assert from "assert";
import { execFileSync, spawn } from "child_process";
import fs from "fs";
import http from "http";
import os from "os";
import path from "path";
import { Run } from "./runner.mjs";

const program = path.resolve(process.argv[2]);
const room = fs.mkdtempSync(path.join(os.tmpdir(), "stepseal-scenarios-"));
const home = path.join(room, "home");
fs.mkdirSync(home);
const env = {
  PATH: process.env.PATH, HOME: home, GIT_CONFIG_NOSYSTEM: "1", LANG: "C.UTF-8", STEPSEAL_PRINCIPAL: "maintainer-1",
  GIT_AUTHOR_NAME: "it", GIT_AUTHOR_EMAIL: "it@localhost", GIT_COMMITTER_NAME: "it", GIT_COMMITTER_EMAIL: "it@localhost",
};

// git's own http backend, which lets in the job's token and counts pushes.
const requests = { pushes: 0, refused: 0 };
const server = http.createServer((request, response) => {
  const known = `Basic ${Buffer.from("x-access-token:t").toString("base64")}`;
  if (request.headers.authorization !== known) {
    requests.refused += 1;
    response.writeHead(401, { "WWW-Authenticate": 'Basic realm="git"' }).end();
    return;
  }
  const url = new URL(request.url, "http://localhost");
  if (request.method === "POST" && url.pathname.endsWith("/git-receive-pack")) requests.pushes += 1;
  const backend = spawn("git", ["http-backend"], {
    env: {
      PATH: process.env.PATH, GIT_PROJECT_ROOT: room, GIT_HTTP_EXPORT_ALL: "1", REMOTE_USER: "jobs",
      REQUEST_METHOD: request.method, PATH_INFO: url.pathname, QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers["content-type"] ?? "", GIT_PROTOCOL: request.headers["git-protocol"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  request.pipe(backend.stdin);
  const chunks = [];
  backend.stdout.on("data", (chunk) => chunks.push(chunk));
  backend.on("close", () => {
    const answer = Buffer.concat(chunks);
    const cut = answer.indexOf("\r\n\r\n");
    const headers = Object.fromEntries(answer.subarray(0, cut).toString().split("\r\n").map((line) => line.split(/: (.*)/s).slice(0, 2)));
    const status = Number((headers.Status ?? "200").split(" ")[0]);
    delete headers.Status;
    response.writeHead(status, headers).end(answer.subarray(cut + 4));
  });
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const served = (name) => `http://127.0.0.1:${server.address().port}/${name}.git`;

const WORKFLOW = `name: shop
steps:
  - { key: api, order: 1, parallelizable: true, execute: { run: [sh, -c, "echo '::error::not a command'; echo '##[group]nor this'; echo api done"] } }
  - { key: web, order: 1, parallelizable: true, execute: { run: [sh, work.sh] }, retry: { max: 1, on: [failed] } }
  - { key: people, order: 1, parallelizable: true }
  - { key: join, order: 2, execute: { run: [sh, -c, "test -n \\"$STEPSEAL_CLAIM\\" && echo joined $STEPSEAL_STEP"] } }
`;

// A repository with the workflows, a ledger and one item, at a bare remote.
function repository(name, work) {
  const origin = path.join(room, `${name}.git`);
  const clone = path.join(room, name);
  const git = (...words) => execFileSync("git", words, { cwd: clone, env, encoding: "utf8" });
  execFileSync("git", ["init", "--quiet", "--bare", "--initial-branch=main", origin], { env });
  execFileSync("git", ["-C", origin, "config", "http.receivepack", "true"], { env });
  execFileSync("git", ["clone", "--quiet", origin, clone], { env, stdio: "ignore" });
  const stepseal = (...words) => execFileSync(program, words, { cwd: clone, env: { ...env, STEPSEAL_EXECUTOR: "person-1" }, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  git("checkout", "--quiet", "-b", "main");
  stepseal("init", "--remote", "origin", "--github");
  fs.writeFileSync(path.join(clone, "shop.yaml"), WORKFLOW);
  fs.writeFileSync(path.join(clone, "work.sh"), work);
  git("add", "--all");
  git("commit", "--quiet", "-m", "start");
  git("push", "--quiet", "origin", "main");
  stepseal("delegate", "--plan", "shop.yaml", "--work-item", "SHOP-1");
  const state = () => {
    stepseal("sync", "--quiet");
    const { item } = JSON.parse(stepseal("status", "SHOP-1", "--json"));
    return Object.fromEntries(item.steps.map((step) => [step.key, `${step.state} ${step.attempts.map((a) => a.state).join(",")}`]));
  };
  const verified = () => {
    stepseal("sync", "--quiet");
    return JSON.parse(stepseal("verify", "--json")).outcome;
  };
  const commits = () => Number(execFileSync("git", ["-C", origin, "rev-list", "--count", "stepseal-ledger"], { env, encoding: "utf8" }));
  return { origin, url: served(name), stepseal, state, verified, commits };
}

const INPUTS = { "work-item": "SHOP-1", executors: "20" };
const ORCHESTRATOR = "./.github/workflows/orchestrator.yml";
let told = [];
const tell = (what) => {
  told.push(what);
  console.log(`ok  ${what}`);
};

async function cycle(repo, options = {}) {
  const run = new Run({ origin: repo.origin, url: repo.url, program, ...options });
  const out = await run.workflow(ORCHESTRATOR, INPUTS);
  return { run, out };
}

const shown = ({ run }) => run.log.join("\n");

{
  const repo = repository("well", "echo web done\n");
  const [before, pushes] = [repo.commits(), requests.pushes];
  const first = await cycle(repo);
  assert.equal(first.out.result, "success", shown(first));
  assert.equal(requests.pushes - pushes, 2, "a wave's claims, and its results");
  assert.ok(requests.refused > 0, "nobody is let in without the job's token");
  assert.deepEqual(repo.state(), { api: "done completed", web: "done completed", people: "ready queued", join: "waits " }, shown(first));
  assert.equal(repo.commits() - before, 2, "a cycle is two pushes");
  assert.equal(first.run.dispatched.length, 0, "a person's step is next: nothing to start");
  assert.deepEqual(first.run.commands.filter((word) => word !== "warning"), [], "no word of the work is a command");
  assert.ok(first.run.summaries.some((text) => text.includes("```mermaid") && text.includes("SHOP-1")), "a summary with a graph");
  tell("a wave is claimed, worked on side by side, and collected in two pushes; a person's step is left to a person");

  repo.stepseal("claim", "--work-item", "SHOP-1", "--step", "people");
  repo.stepseal("complete", "--work-item", "SHOP-1", "--step", "people", "--outcome", "decided");
  const second = await cycle(repo, { runId: "1002" });
  assert.equal(second.out.result, "success", shown(second));
  assert.equal(repo.state().join, "done completed");
  const idle = await cycle(repo, { runId: "1003" });
  assert.equal(idle.out.result, "success", shown(idle));
  assert.equal(idle.out.jobs.execute.result, "skipped");
  assert.equal(repo.verified(), "verified");
  tell("the next cycle does the join, and one with nothing to do ends well");
}

{
  // The first try fails, the second goes well: what is left tells which it is.
  const repo = repository("failing", 'case $STEPSEAL_ATTEMPT in *.1) echo broken; exit 7;; esac\necho mended\n');
  const first = await cycle(repo);
  assert.equal(first.out.result, "failure", "a red job for people to see");
  assert.equal(first.out.jobs.collect.result, "success", shown(first));
  assert.equal(repo.state().web, "ready failed,queued", shown(first));
  assert.equal(first.run.dispatched.length, 1, "its own retry is ready: the next cycle starts");
  assert.match(first.run.dispatched[0], /workflow run orchestrator.yml .*work-item=SHOP-1/);
  const second = await cycle(repo, { runId: "1002" });
  assert.equal(second.out.result, "success", shown(second));
  assert.equal(repo.state().web, "done failed,completed");
  assert.equal(repo.verified(), "verified");
  tell("a failing job is red, its attempt failed, and its retry is the next cycle's");
}

{
  const repo = repository("cancelled", "echo web done\n");
  const first = await cycle(repo, { sabotage: { cancel: (name) => name === "execute web.1" } });
  assert.equal(first.out.jobs.execute.result, "cancelled");
  assert.equal(repo.state().web, "ready failed,queued", shown(first));
  assert.equal(repo.state().api, "done completed");
  tell("a cancelled job's attempt failed: nothing came back");

  // Somebody presses "re-run failed jobs": the plan stays, its executors come once more.
  const again = new Run({
    origin: repo.origin, url: repo.url, program, attempt: "2", artifacts: first.run.artifacts, results: { plan: first.out.jobs.plan },
  });
  const out = await again.workflow(ORCHESTRATOR, INPUTS);
  const state = repo.state();
  assert.equal(state.web, "ready failed,queued", again.log.join("\n"));
  assert.equal(state.api, "done completed");
  assert.equal(out.jobs.collect.result, "failure", "what came late is told");
  assert.equal(repo.verified(), "verified");
  const log = repo.stepseal("log", "SHOP-1");
  assert.ok(log.includes("handoff-quarantined"), log);
  tell("jobs that are run again hand in too late: quarantined, the attempt stays ended, no attempt twice");
}

{
  const repo = repository("two", "echo web done\n");
  const [one, other] = await Promise.all([cycle(repo, { runId: "2001" }), cycle(repo, { runId: "2002" })]);
  const state = repo.state();
  assert.equal(state.api, "done completed", shown(one) + shown(other));
  assert.equal(state.web, "done completed");
  assert.equal(repo.verified(), "verified");
  const jobs = [one, other].map(({ run }) => run.log.filter((line) => /^work: |^execute .*: /.test(line)).length);
  tell(`two orchestrators at once: each attempt was worked on once (${jobs.join(" and ")} jobs)`);
}

server.close();
console.log(`${told.length} passed, 0 failed`);
