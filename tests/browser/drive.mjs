// The pages, driven as a maintainer would: sign in, approve a pass, look at a fail and find approving closed, watch a
// rebuild, do it all without scripts, and come from another site. Started by tests/it/browser.rs, which owns the service.

import { Rig, ask, expect, read, say } from "./rig.mjs";

const script = await read();
const { url, name, password, stages } = script;
const ELSEWHERE = "http://elsewhere.test";
const at = (path) => new URL(path, url).href;
const text = (page, selector) => page.locator(selector).first().innerText();

async function signIn(page, code, secret = password) {
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(secret);
  await page.getByLabel("One-time code").fill(code);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function signsIn(rig, page) {
  await page.goto(at(`/stages/${stages.pass}`));
  expect(page.url().startsWith(at("/sign-in")), "without a session every page leads to the sign-in");
  await rig.shot(page, "sign-in");
  await signIn(page, await ask("code"), "not the password");
  expect((await page.locator("[role=alert]").count()) === 1, "a wrong password is refused with a sentence");
  expect((await page.locator("#code").inputValue()) === "", "a refused code is not shown again");
  const code = await ask("code");
  await signIn(page, `${code.slice(0, 3)} ${code.slice(3)}`);
  expect(page.url() === at(`/stages/${stages.pass}`), "signing in goes on to the page that was asked for", page.url());
  const cookies = await page.context().cookies();
  const hidden = cookies.every((cookie) => cookie.httpOnly && cookie.sameSite === "Strict");
  expect(cookies.length === 1 && hidden, "the one cookie is strict and hidden from scripts");
}

async function readsInbox(rig, page) {
  await page.goto(url);
  expect((await text(page, "h1")) === "Inbox", "the inbox opens");
  const needs = page.locator("section", { hasText: "Needs you" });
  const words = await needs.locator("tbody tr").allInnerTexts();
  expect(/Pass/.test(words[0]), "a pass stands first among what needs me", words[0]);
  expect(words.some((row) => /Fail/.test(row)), "a fail needs me too");
  await rig.shot(page, "inbox");
}

async function approvesPass(rig, page) {
  await page.goto(at(`/stages/${stages.pass}`));
  expect(/^Pass/.test(await text(page, ".plate .word")), "the report opens with its verdict in words");
  expect(/is (exactly )?what commit [0-9a-f]{7}/.test(await text(page, "h1")), "its sentence names the commit");
  await rig.shot(page, "report-pass");
  await page.getByRole("link", { name: "Approve" }).click();
  const shown = await text(page, ".subject");
  for (const part of [script.package, script.version, script.sha512, script.commit]) {
    expect(shown.includes(part), `the dialog repeats ${part.slice(0, 24)}`, shown);
  }
  await rig.shot(page, "approve");
  const first = await ask("code");
  await page.getByLabel("One-time code").fill(first === "000000" ? "111111" : "000000");
  await page.getByRole("button", { name: "Approve and publish" }).click();
  expect((await page.locator("[role=alert]").count()) === 1, "a wrong code is refused with a sentence");
  const code = await ask("code");
  await page.getByLabel("One-time code").fill(code);
  await page.getByRole("button", { name: "Approve and publish" }).click();
  await page.getByText(/Published \d\d:\d\d:\d\d UTC by/).waitFor();
  expect((await text(page, ".do")).includes("Undo is not possible"), "the page says when it was published, and that it stays");
  await rig.shot(page, "published");
}

async function readsFail(rig, page) {
  await page.goto(at(`/stages/${stages.fail}`));
  expect(/^Fail/.test(await text(page, ".plate .word")), "a fail opens with its verdict in words");
  expect(/does not match its source/.test(await text(page, "h1")), "its sentence says that it does not match");
  const added = await page.locator("tr.staged .text").allInnerTexts();
  expect(added.some((line) => line.includes(script.tampered_line)), "the report shows the line that was added");
  expect((await text(page, ".do")).includes("Approving is closed."), "approving is closed, with the reason");
  expect((await page.getByRole("link", { name: "Approve" }).count()) === 0, "there is no way to approve");
  await rig.shot(page, "report-fail");
  await page.setViewportSize({ width: 1280, height: 1040 });
  await rig.shot(page, "screenshot-report", false);
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: "dark" });
  await rig.shot(page, "report-fail-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 400, height: 800 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(width <= 400, "on a phone nothing is wider than the screen", `${width}`);
  await rig.shot(page, "report-fail-phone");
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.goto(at(`/stages/${stages.fail}/approve`));
  expect((await page.locator("#code").count()) === 0, "the dialog of a fail has no field for a code");
  expect((await text(page, "#closed")).includes("Approving is closed."), "and says why");
}

async function walksFiles(rig, page) {
  await page.goto(at(`/stages/${stages.fail}`));
  const shown = () => page.locator("#file-list tr:visible").count();
  await page.locator("[data-filter=changed]").click();
  expect((await shown()) === 1, "the filter leaves the changed file");
  expect(!page.url().includes("files="), "and asks nobody for it");
  await page.locator("[data-filter=all]").click();
  await page.getByLabel("Search paths").fill("package.json");
  expect((await shown()) === 1, "the search leaves the file that was looked for");
  await page.getByLabel("Search paths").fill("");
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  const focused = await page.evaluate(() => document.activeElement.closest("tr") !== null);
  expect(focused, "j goes to the first file");
  await page.goto(at(`/stages/${stages.fail}/files/${script.tampered_path}`));
  expect((await text(page, "h1")) === script.tampered_path, "a file has its page");
  await rig.shot(page, "file");
  await page.goto(at(`/stages/${stages.fail}/log`));
  const log = await page.locator(".log span").allInnerTexts();
  expect(log.includes(script.log_line), "the log is read without what only terminals understand", log.join("|"));
  await rig.shot(page, "log");
  await page.goto(at(`/packages/${script.package}`));
  expect((await page.locator(".strip a").count()) >= 2, "the package's page has a strip of releases");
  await rig.shot(page, "package");
}

async function watchesRebuild(rig, page) {
  await page.goto(at(`/stages/${stages.live}`));
  const loads = { count: 0 };
  page.on("load", () => (loads.count += 1));
  await ask("build");
  await page.locator(".step.now", { hasText: "Build" }).waitFor();
  await ask("progress");
  await page.locator(".step.now", { hasText: "Pack" }).waitFor();
  say("the steps follow what the worker does");
  await rig.shot(page, "running");
  await ask("judge");
  await page.locator(".plate.good").waitFor();
  expect((await text(page, ".plate .word")).startsWith("Pass"), "and the verdict comes by itself");
}

async function comesFromElsewhere(rig, context) {
  rig.expected.push(ELSEWHERE);
  const page = await context.newPage();
  const form = `<form method="post" action="${at(`/stages/${stages.other}/reject`)}"><input name="reason" value="x">
    <button>send</button></form><a href="${at(`/stages/${stages.fail}`)}">report</a>`;
  await context.route(`${ELSEWHERE}/**`, (route) => route.fulfill({ contentType: "text/html", body: form }));
  await page.goto(`${ELSEWHERE}/`);
  const answer = page.waitForResponse((response) => response.url().endsWith("/reject"));
  await page.getByRole("button").click();
  expect((await answer).status() === 403, "a form of another site is refused", `${(await answer).status()}`);
  await page.goto(`${ELSEWHERE}/`);
  await page.getByRole("link", { name: "report" }).click();
  await page.locator(".plate.bad").waitFor();
  say("a link from another site leads to the report all the same");
  await page.close();
}

async function withoutScripts(rig) {
  const context = await rig.visitor({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(at(`/stages/${stages.other}`));
  await signIn(page, await ask("code"));
  expect(/^Pass/.test(await text(page, ".plate .word")), "without scripts the report is read");
  await page.goto(at(`/stages/${stages.fail}?files=changed`));
  expect((await page.locator("#file-list tr").count()) === 1, "without scripts the filters ask the service");
  await page.goto(at(`/stages/${stages.other}`));
  await page.getByRole("link", { name: "Approve" }).click();
  await page.getByLabel("One-time code").fill(await ask("code"));
  await page.getByRole("button", { name: "Approve and publish" }).click();
  await page.getByText(/Published \d\d:\d\d:\d\d UTC by/).waitFor();
  say("without scripts a code approves");
  await context.close();
}

async function signsOut(page) {
  await page.goto(url);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.goto(at(`/stages/${stages.fail}`));
  expect(page.url().startsWith(at("/sign-in")), "signing out ends the session");
}

const rig = await Rig.start(script.chromium, new URL(url).origin, script.shots);
let failure = null;
try {
  const context = await rig.visitor();
  const page = await context.newPage();
  await signsIn(rig, page);
  await readsInbox(rig, page);
  await approvesPass(rig, page);
  await readsFail(rig, page);
  await walksFiles(rig, page);
  await watchesRebuild(rig, page);
  await comesFromElsewhere(rig, context);
  await withoutScripts(rig);
  await signsOut(page);
} catch (error) {
  failure = error;
}
const wrongs = await rig.stop();
for (const wrong of wrongs) say(`WRONG: ${wrong}`);
if (failure) say(`WRONG: ${failure.stack}`);
process.exit(failure || wrongs.length > 0 ? 1 : 0);
