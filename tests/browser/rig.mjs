// The rig: one Chromium, what must never happen on a page, and the line-by-line talk with the Rust test that started us
// (JSON on stdin and stdout). It knows nothing of what the pages show.

import { createInterface } from "node:readline";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** The next line that the Rust test sends. */
export async function read() {
  const { value, done } = await lines.next();
  if (done) throw new Error("the test that started this is gone");
  return JSON.parse(value);
}

/** Asks the Rust test for something, or to do something, and waits for its answer. */
export async function ask(what, about = null) {
  process.stdout.write(`${JSON.stringify({ ask: what, about })}\n`);
  return read();
}

/** Says what is done, for whoever reads along. */
export const say = (text) => process.stderr.write(`browser: ${text}\n`);

/** Throws unless it holds; the sentence says what should. */
export function expect(holds, sentence, seen = "") {
  if (!holds) throw new Error(seen === "" ? sentence : `${sentence}; it was: ${seen}`);
  say(sentence);
}

// A sandbox of Chromium's own needs a user who is not root; the walls that are tested here are those of the pages.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Chromium, and a list of everything that should not have happened. */
export class Rig {
  static async start(chromiumPath, origin, shots) {
    const rig = new Rig();
    rig.browser = await chromium.launch({ executablePath: chromiumPath, args: FLAGS });
    Object.assign(rig, { origin, shots, wrongs: [], expected: [] });
    mkdirSync(shots, { recursive: true });
    return rig;
  }

  /** A fresh visitor without cookies. */
  async visitor(options = {}) {
    const context = await this.browser.newContext({
      viewport: { width: 1280, height: 900 },
      ...options,
    });
    context.setDefaultTimeout(20_000);
    context.on("request", (request) => this.#judgeRequest(request));
    context.on("console", (message) => this.#judgeConsole(message));
    context.on("weberror", (error) => this.wrongs.push(`a script failed: ${error.error()}`));
    return context;
  }

  #judgeRequest(request) {
    const { origin, protocol } = new URL(request.url());
    const isOwn = origin === this.origin || protocol === "data:";
    if (!isOwn && !this.expected.includes(origin)) {
      this.wrongs.push(`a request left the origin: ${request.url()}`);
    }
  }

  #judgeConsole(message) {
    if (!["error", "warning"].includes(message.type())) return;
    // Chromium reports each answer above 399 on the console; those that the story asks for are its own business.
    const isRefusal = /status of (401|403|404|409|423|429)/.test(message.text());
    if (!isRefusal) this.wrongs.push(`the console says: ${message.text()} (${message.location().url})`);
  }

  /** A picture for people, in target/. */
  async shot(page, name, fullPage = true) {
    await page.screenshot({ path: join(this.shots, `${name}.png`), fullPage });
  }

  async stop() {
    await this.browser.close();
    return this.wrongs;
  }
}
