// Runs workflows on this host: GitHub's own expression engine, real git, the real program, jobs of
// a matrix side by side. Only the three actions of GitHub's that the workflows use are stood in
// for, by the rules of theirs that matter. Permissions and concurrency groups are not enforced.
import { spawn, execFileSync } from "child_process";
import fs from "fs";
import os from "os";
import path from "path";
import { Evaluator, Lexer, Parser, data } from "@actions/expressions";
import YAML from "yaml";

const CONTEXTS = ["github", "inputs", "needs", "steps", "matrix", "strategy", "env", "secrets", "runner", "job"];

function toData(value) {
  if (value === null || value === undefined) return new data.Null();
  if (Array.isArray(value)) return new data.Array(...value.map(toData));
  if (typeof value === "object") {
    const pairs = Object.entries(value).map(([key, inner]) => ({ key, value: toData(inner) }));
    return new data.Dictionary(...pairs);
  }
  if (typeof value === "string") return new data.StringData(value);
  if (typeof value === "number") return new data.NumberData(value);
  return new data.BooleanData(value);
}
const fromData = (value) => JSON.parse(JSON.stringify(value, data.replacer));

function evaluate(source, context, status) {
  const functions = ["success", "failure", "always", "cancelled"].map((name) => ({
    name,
    minArgs: 0,
    maxArgs: 0,
    call: () => new data.BooleanData(status[name]()),
  }));
  const tree = new Parser(new Lexer(source).lex().tokens, CONTEXTS, functions).parse();
  const known = Object.fromEntries(CONTEXTS.map((name) => [name, context[name] ?? {}]));
  return new Evaluator(tree, toData(known), new Map(functions.map((one) => [one.name, one]))).evaluate();
}

const fine = { success: () => true, failure: () => false, always: () => true, cancelled: () => false };

function filled(value, context, status = fine) {
  if (Array.isArray(value)) return value.map((inner) => filled(inner, context, status));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, filled(inner, context, status)]));
  }
  if (typeof value !== "string") return value;
  const whole = value.match(/^\s*\$\{\{((?:(?!\}\}).)*)\}\}\s*$/s);
  if (whole) return fromData(evaluate(whole[1], context, status));
  return value.replace(/\$\{\{(.*?)\}\}/gs, (_, source) => evaluate(source, context, status).coerceString());
}

function holds(condition, context, status) {
  if (condition === undefined) return status.success();
  const source = String(condition).replace(/^\s*\$\{\{(.*)\}\}\s*$/s, "$1");
  const asks = /\b(success|failure|always|cancelled)\s*\(/.test(source);
  const answer = evaluate(source, context, status).coerceString();
  return (asks || status.success()) && !["", "false", "0"].includes(answer);
}

// What a step wrote for the steps after it: NAME=VALUE, or NAME<<WORD … WORD.
function pairs(file) {
  const read = {};
  const lines = fs.readFileSync(file, "utf8").split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const heredoc = lines[at].match(/^([^=<]+)<<(.+)$/);
    if (heredoc) {
      const value = [];
      while (lines[++at] !== heredoc[2]) {
        if (at >= lines.length) throw new Error(`${file}: a heredoc without an end`);
        value.push(lines[at]);
      }
      read[heredoc[1]] = value.join("\n");
    } else if (lines[at].includes("=")) {
      const cut = lines[at].indexOf("=");
      read[lines[at].slice(0, cut)] = lines[at].slice(cut + 1);
    }
  }
  return read;
}

// The runner's two parsers of commands in a log.
function commands(log) {
  const found = [];
  let stopped = null;
  for (const line of log.split("\n")) {
    const trimmed = line.trimStart();
    if (stopped !== null) {
      if (trimmed.trimEnd() === `::${stopped}::`) stopped = null;
      continue;
    }
    const command = trimmed.match(/^::([a-z-]+)( [^:]*)?::(.*)$/);
    const legacy = line.match(/##\[([a-z-]+)/);
    if (command?.[1] === "stop-commands") stopped = command[3];
    else if (command) found.push(command[1]);
    else if (legacy) found.push(legacy[1]);
  }
  return { found, open: stopped !== null };
}

export class Run {
  constructor({ origin, url, program, runId = "1001", attempt = "1", artifacts, sabotage = {}, results = {} }) {
    Object.assign(this, { origin, url, program, runId, attempt, sabotage, results });
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "stepseal-actions-"));
    this.artifacts = artifacts ?? path.join(this.folder, "artifacts");
    fs.mkdirSync(this.artifacts, { recursive: true });
    this.log = [];
    this.summaries = [];
    this.commands = [];
    this.dispatched = [];
    this.count = 0;
    this.checkout = path.join(this.folder, "workflows");
    execFileSync("git", ["clone", "--quiet", origin, this.checkout]);
    // What `gh` is asked for here: to start the next cycle.
    this.bin = path.join(this.folder, "bin");
    fs.mkdirSync(this.bin);
    this.asked = path.join(this.folder, "dispatched");
    fs.writeFileSync(this.asked, "");
    fs.writeFileSync(path.join(this.bin, "gh"), `#!/bin/sh\necho "$*" >> '${this.asked}'\n`, { mode: 0o755 });
    fs.symlinkSync(program, path.join(this.bin, "stepseal"));
    this.github = {
      event_name: "workflow_dispatch", ref: "refs/heads/main", ref_name: "main", repository: "octo/app",
      run_id: runId, run_attempt: attempt, actor: "octocat", actor_id: "583231", token: "t",
      server_url: "https://github.com", job: "",
    };
  }

  load(reference) {
    const file = path.join(this.checkout, reference.replace(/^(\$|\.)\//, ""));
    return YAML.parse(fs.readFileSync(file, "utf8"), { version: "1.2" });
  }

  async workflow(file, inputs) {
    const workflow = this.load(file);
    const done = {};
    const left = new Set(Object.keys(workflow.jobs));
    while (left.size) {
      const id = [...left].find((job) => [workflow.jobs[job].needs ?? []].flat().every((need) => need in done));
      left.delete(id);
      // The jobs a re-run leaves as they were.
      done[id] = this.results[id] ?? (await this.job(workflow, id, inputs, done));
    }
    const all = Object.values(done);
    const failed = all.some((job) => job.result === "failure" || job.result === "cancelled");
    return { result: failed ? "failure" : "success", jobs: done, outputs: {} };
  }

  async job(workflow, id, inputs, done) {
    const job = workflow.jobs[id];
    const before = [job.needs ?? []].flat();
    const needs = Object.fromEntries(before.map((need) => [need, { result: done[need].result, outputs: done[need].outputs }]));
    const context = { github: { ...this.github, job: id }, inputs, needs, secrets: {} };
    const was = (result) => before.some((need) => done[need].result === result);
    const bad = was("failure") || was("cancelled");
    const status = { ...fine, success: () => !bad && !was("skipped"), failure: () => bad };
    if (!holds(job.if, context, status)) return { result: "skipped", outputs: {} };
    const rows = job.strategy?.matrix ? filled(job.strategy.matrix, context).include : [null];
    const one = async (row, index) => {
      const own = { ...context, matrix: row ?? {}, strategy: { "job-total": rows.length } };
      const name = row ? `${id} ${row.attemptId}` : id;
      // A job that is cancelled before it begins never begins.
      if (this.sabotage.cancel?.(name)) return { result: "cancelled", outputs: {} };
      const ran = job.uses
        ? await this.workflow(job.uses, filled(job.with ?? {}, own))
        : await this.steps(workflow, job, id, own, index, name);
      this.log.push(`${name}: ${ran.result}`);
      return ran;
    };
    const ran = await Promise.all(rows.map(one));
    const results = ran.map((each) => each.result);
    const result = results.includes("failure") ? "failure" : results.includes("cancelled") ? "cancelled" : "success";
    return { result, outputs: Object.assign({}, ...ran.map((each) => each.outputs)) };
  }

  file(name) {
    const file = path.join(this.folder, `${name}-${this.count++}`);
    fs.writeFileSync(file, "");
    return file;
  }

  async steps(workflow, job, id, context, index) {
    const space = path.join(this.folder, `space-${this.count++}`);
    const temp = path.join(this.folder, `temp-${this.count++}`);
    fs.mkdirSync(space);
    fs.mkdirSync(temp);
    const steps = {};
    let failed = false;
    const status = { ...fine, success: () => !failed, failure: () => failed };
    for (const step of job.steps) {
      const env = { ...filled(workflow.env ?? {}, context), ...filled(job.env ?? {}, context) };
      const now = { ...context, env, steps, runner: { os: "Linux", temp }, github: { ...context.github, workspace: space } };
      const label = step.name ?? step.id ?? step.uses;
      const say = (conclusion, outputs = {}) => {
        if (step.id) steps[step.id] = { outcome: conclusion, conclusion, outputs };
      };
      if (!holds(step.if, now, status)) {
        say("skipped");
        continue;
      }
      try {
        if (step.uses) {
          this.action(step.uses.split("@")[0], filled(step.with ?? {}, now), space);
          say("success");
        } else {
          const { code, outputs } = await this.shell(step, filled(step.env ?? {}, now), env, now, space, temp, index, id);
          this.log.push(`  ${id}: ${label} -> ${code}`);
          if (code !== 0) failed = true;
          say(code === 0 ? "success" : "failure", outputs);
        }
      } catch (error) {
        this.log.push(`  ${id}: ${label} -> ${error.message}`);
        failed = true;
        say("failure");
      }
    }
    const outputs = filled(job.outputs ?? {}, { ...context, steps });
    return { result: failed ? "failure" : "success", outputs: Object.fromEntries(Object.entries(outputs).map(([k, v]) => [k, String(v ?? "")])) };
  }

  shell(step, own, env, context, space, temp, index, id) {
    const [output, summary, script] = ["output", "summary", "script"].map((name) => this.file(name));
    // Nothing is put into a script: what it needs is in its environment.
    if (step.run.includes("${{")) throw new Error(`an expression inside run: ${step.run}`);
    fs.writeFileSync(script, step.run);
    const github = Object.fromEntries(
      Object.entries(context.github).filter(([, value]) => typeof value === "string").map(([key, value]) => [`GITHUB_${key.toUpperCase()}`, value]),
    );
    const environment = {
      PATH: `${this.bin}:${process.env.PATH}`, HOME: this.folder, CI: "true", GITHUB_ACTIONS: "true", RUNNER_TEMP: temp,
      GIT_CONFIG_NOSYSTEM: "1", LANG: "C.UTF-8", ...github, GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: summary,
      STEPSEAL_JOB_INDEX: String(index), ...env,
      ...Object.fromEntries(Object.entries(own).map(([key, value]) => [key, String(value)])),
    };
    return new Promise((resolve) => {
      const child = spawn("bash", ["--noprofile", "--norc", "-eo", "pipefail", script], { cwd: space, env: environment });
      let said = "";
      child.stdout.on("data", (bytes) => (said += bytes));
      child.stderr.on("data", (bytes) => (said += bytes));
      child.on("close", (code) => {
        this.log.push(...said.trimEnd().split("\n").filter(Boolean).map((line) => `    | ${line}`));
        const { found, open } = commands(said);
        this.commands.push(...found);
        if (open) throw new Error(`${id}: commands were never turned on again`);
        const text = fs.readFileSync(summary, "utf8");
        if (text) this.summaries.push(text);
        this.dispatched = fs.readFileSync(this.asked, "utf8").split("\n").filter(Boolean);
        resolve({ code, outputs: pairs(output) });
      });
    });
  }

  action(name, given, space) {
    if (name === "actions/checkout") {
      execFileSync("git", ["clone", "--quiet", "--depth", "1", "--branch", "main", `file://${this.origin}`, space]);
      // Without credentials in the checkout, as `persist-credentials: false` leaves it.
      if (this.url) execFileSync("git", ["-C", space, "remote", "set-url", "origin", this.url]);
    } else if (name === "$/.github/actions/stepseal") {
      // The program is on the PATH already; its own script would say so.
    } else if (name === "actions/upload-artifact") {
      const to = path.join(this.artifacts, given.name);
      const from = path.resolve(space, given.path);
      if (!fs.existsSync(from)) {
        if (given["if-no-files-found"] === "error") throw new Error(`no files at ${given.path}`);
        return;
      }
      if (/[":<>|*?\r\n\\/]/.test(given.name)) throw new Error(`an artifact cannot be called ${given.name}`);
      if (fs.existsSync(to)) throw new Error(`409: an artifact ${given.name} is there already`);
      fs.cpSync(from, to, { recursive: true });
    } else if (name === "actions/download-artifact") {
      const all = fs.readdirSync(this.artifacts).sort();
      const prefix = given.pattern?.replace(/\*$/, "");
      const wanted = all.filter((one) => (given.name ? one === given.name : one.startsWith(prefix)));
      if (given.name && !wanted.length) throw new Error(`no artifact ${given.name}`);
      for (const one of wanted) {
        fs.cpSync(path.join(this.artifacts, one), path.resolve(space, given.path, given.name ? "" : one), { recursive: true });
      }
    } else {
      throw new Error(`nothing stands in for ${name}`);
    }
  }
}
