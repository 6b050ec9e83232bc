// Unpacks tarballs with npm's own extractor (pacote, out of the npm that is named) and tells what lies on the disk. One process
// for many: each request on standard input is a length of four bytes (big endian) and a .tgz, each answer on standard output a
// length and JSON: {"files": {path: [sha256, executable]}, "error"?}. A folder in which nothing lies stands there with a slash at
// its end. It knows nothing of what is expected.
//
//   node extract.mjs NPM-FOLDER SCRATCH-FOLDER
import { createHash } from 'node:crypto'
import { lstatSync, readFileSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [npm, scratch] = process.argv.slice(2)
const bring = createRequire(join(npm, 'package.json'))
const { FileFetcher } = bring('pacote')
const { tarballFromResolved } = bring('pacote/lib/util/protected.js')
const { Minipass } = bring('minipass')
const parse = bring('npm-package-arg')
// npm's own default: files get the modes that a user of this umask sees.
process.umask(0o022)

// What npm installs a file with, but for the reading of it: npm takes 16 MiB of memory for each, which is most of the time where
// there are many small ones. The bytes come in one piece here as they do there.
class FromMemory extends FileFetcher {
  [tarballFromResolved]() {
    const stream = new Minipass()
    stream.end(this.tgz)
    return stream
  }
}

function walk(folder, prefix, files) {
  const entries = readdirSync(folder, { withFileTypes: true })
  if (entries.length === 0 && prefix !== '') files[prefix] = ['empty folder', false]
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) walk(path, `${prefix}${entry.name}/`, files)
    else if (!entry.isFile()) files[prefix + entry.name] = ['no file', false]
    else {
      const digest = createHash('sha256').update(readFileSync(path)).digest('hex')
      files[prefix + entry.name] = [digest, (lstatSync(path).mode & 0o111) !== 0]
    }
  }
}

async function extract(tgz, number) {
  const folder = join(scratch, `${number}`)
  // Without a prototype: a file may be called __proto__.
  const answer = { files: Object.create(null) }
  try {
    const fetcher = new FromMemory(parse('file:archive.tgz', scratch), { where: scratch })
    fetcher.tgz = tgz
    await fetcher.extract(folder)
    walk(folder, '', answer.files)
  } catch (error) {
    answer.error = String(error?.message ?? error)
  }
  rmSync(folder, { recursive: true, force: true })
  return answer
}

function say(answer) {
  const text = Buffer.from(JSON.stringify(answer))
  const frame = Buffer.alloc(4 + text.length)
  frame.writeUInt32BE(text.length)
  text.copy(frame, 4)
  for (let at = 0; at < frame.length;) at += writeSync(1, frame, at)
}

// So many at a time; the answers keep the order of the requests.
const AT_ONCE_MAX = 12
const said = []
let rest = Buffer.alloc(0)
let last = Promise.resolve()
let number = 0
for await (const chunk of process.stdin) {
  rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
  while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
    const end = 4 + rest.readUInt32BE(0)
    const tgz = rest.subarray(4, end)
    rest = rest.subarray(end)
    number += 1
    const [answer, before] = [extract(tgz, number), last]
    last = before.then(async () => say(await answer))
    said.push(last)
    if (said.length >= AT_ONCE_MAX) await said.shift()
  }
}
