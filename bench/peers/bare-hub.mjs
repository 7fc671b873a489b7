// What a post costs without a framework: node:http and node:sqlite, one transaction a post, with the statements, checks
// and durability of the hub. `node bare-hub.mjs DATABASE TOKEN PLUGINS`: the database has the hub's tables, PLUGINS is
// the number of plugins for which each post opens jobs. It prints its port.
import { createHash, timingSafeEqual } from "node:crypto"
import { createServer } from "node:http"
import { DatabaseSync } from "node:sqlite"

const [file, token, plugins] = process.argv.slice(2)
const db = new DatabaseSync(file, { timeout: 0 })
for (const pragma of [
  "journal_mode = WAL",
  "synchronous = NORMAL",
  "foreign_keys = ON",
  "wal_autocheckpoint = 4000",
  "cache_size = -16384"
]) {
  db.exec(`PRAGMA ${pragma}`)
}
const begin = db.prepare("BEGIN IMMEDIATE")
const commit = db.prepare("COMMIT")
const rollback = db.prepare("ROLLBACK")
const touchTopic = db.prepare("UPDATE topics SET updated_at = ? WHERE id = ? RETURNING channel_id")
const addMessage = db.prepare(
  `INSERT INTO messages (id, topic_id, channel_id, sender, content_raw, version, content_version, created_at)
    VALUES (?, ?, ?, ?, ?, 1, 1, ?)`
)
const addEvent = db.prepare(
  `INSERT INTO events (ts, name, channel_id, topic_id, entity_type, entity_id, data_json)
    VALUES (?, 'message.created', ?, ?, 'message', ?, ?) RETURNING event_id`
)
const addPost = db.prepare(
  "INSERT INTO outbox (message_id, content_version, plugins_json, created_at) VALUES (?, 1, ?, ?)"
)
const names = Array.from({ length: Number(plugins) }, (_, index) => `plugin-${index}`)
const namesJson = JSON.stringify(names)

const digest = (text) => createHash("sha256").update(text).digest()
const expected = digest(`Bearer ${token}`)

let last = 0n
const nextId = () => {
  const now = BigInt(Date.now()) << 20n
  last = now > last ? now : last + 1n
  return last.toString(16).padStart(17, "0")
}

/** The message and the number of its event; undefined if there is no such topic. */
const post = ({ topic_id, sender, content_raw }) => {
  begin.run()
  try {
    const created_at = new Date().toISOString()
    const topic = touchTopic.get(created_at, topic_id)
    if (topic === undefined) {
      rollback.run()
      return undefined
    }
    const { channel_id } = topic
    const id = nextId()
    const none = { edited_at: null, deleted_at: null, deleted_by: null }
    const message = { id, topic_id, channel_id, sender, content_raw, version: 1, created_at, ...none }
    addMessage.run(id, topic_id, channel_id, sender, content_raw, created_at)
    const { event_id } = addEvent.get(created_at, channel_id, topic_id, id, JSON.stringify({ message }))
    if (names.length > 0) addPost.run(id, namesJson, created_at)
    commit.run()
    return { message, event_id }
  } catch (error) {
    if (db.isTransaction) rollback.run()
    throw error
  }
}

const isPost = (given) =>
  typeof given?.topic_id === "string" &&
  typeof given.sender === "string" &&
  typeof given.content_raw === "string"

const answer = (response, status, value) => {
  const text = JSON.stringify(value)
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text)
  })
  response.end(text)
}

const server = createServer((request, response) => {
  const chunks = []
  request.on("data", (chunk) => chunks.push(chunk))
  request.on("end", () => {
    if (request.method !== "POST" || request.url !== "/api/v1/messages") return answer(response, 404, {})
    if (!timingSafeEqual(digest(request.headers.authorization ?? ""), expected))
      return answer(response, 401, {})
    const given = JSON.parse(Buffer.concat(chunks).toString())
    if (!isPost(given)) return answer(response, 400, {})
    const posted = post(given)
    answer(response, posted === undefined ? 404 : 201, posted ?? {})
  })
})
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`))
process.on("SIGINT", () => {
  server.close()
  server.closeAllConnections()
  db.close()
})
