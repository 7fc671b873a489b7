/** A server that plugins are allowed to talk to, and that means them no good; in a thread of its own. */
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { parentPort, workerData } from "node:worker_threads"
import * as zlib from "node:zlib"

/** Where nobody may be led. */
const { trap }: { readonly trap: number } = workerData
const chunk = Buffer.alloc(64 * 1024, "x")

/** Members of 16 MiB each; 16 of them make a quarter of a GiB out of 256 KiB. */
const bomb = Buffer.concat(Array.from({ length: 16 }, () => zlib.gzipSync(Buffer.alloc(16 * 1024 * 1024))))

const pour = (response: http.ServerResponse): void => {
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
  }
  response.on("drain", more)
  more()
}

const routes: Record<string, (request: http.IncomingMessage, response: http.ServerResponse) => void> = {
  "/away": (_, response) => void response.writeHead(302, { location: `http://127.0.0.1:${trap}/away` }).end(),
  "/away-by-name": (_, response) =>
    void response.writeHead(307, { location: `http://localhost:${trap}/away` }).end(),
  "/round": (_, response) => void response.writeHead(302, { location: "/round" }).end(),
  "/endless": (_, response) => pour(response),
  "/silent": (_, response) => void response.write("x"),
  "/mute": () => {},
  "/bomb": (_, response) => void response.writeHead(200, { "content-encoding": "gzip" }).end(bomb),
  "/many-headers": (_, response) => {
    for (let n = 0; n < 200; n++) response.setHeader(`x-${n}`, "v".repeat(60))
    response.end()
  },
  "/echo": (request, response) =>
    void response.end(JSON.stringify([request.method, request.url, ...request.rawHeaders])),
  "/swallow": (request, response) => {
    request.resume()
    request.on("end", () => response.end())
  }
}

const server = http.createServer((request, response) => {
  const route = routes[request.url?.split("?")[0] ?? ""]
  if (route === undefined) response.end("hello")
  else route(request, response)
})
server.listen(0, "127.0.0.1", () => parentPort?.postMessage((server.address() as AddressInfo).port))
