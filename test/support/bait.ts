/** A server that plugins are allowed to talk to, and that means them no good; in a thread of its own. */
import * as http from "node:http"
import type { AddressInfo, Socket } from "node:net"
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

/** Writes a text, and then another for as long as anybody takes it, past what HTTP has to say to that. */
const flood = (socket: Socket, head: string, again: string): void => {
  const block = Buffer.from(again.repeat(Math.ceil((64 * 1024) / again.length)))
  const more = (): void => {
    while (socket.writable && socket.write(block));
  }
  socket.on("drain", more)
  socket.write(head)
  more()
}

const chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

/** By path: what a response starts with, and what it goes on with. */
const floods: Record<string, readonly [head: string, again: string]> = {
  "/continues": ["", "HTTP/1.1 100 Continue\r\n\r\n"],
  "/hints": ["", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"],
  "/crumbs": [chunked, "1\r\nx\r\n"],
  "/extensions": [chunked, `1;${"x".repeat(500)}\r\nx\r\n`],
  "/trailers": [`${chunked}0\r\n`, "x: y\r\n"],
  "/head": ["HTTP/1.1 200 OK\r\n", "x: y\r\n"],
  "/junk": ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"],
  "/burdened": ["HTTP/1.1 302 Found\r\nlocation: /burdened\r\n\r\n", "more than anybody reads "]
}

/** A byte at a time, each sent on its own, far faster than anybody could want. */
const drip = (socket: Socket): void => {
  socket.setNoDelay()
  socket.write("HTTP/1.1 200 OK\r\n\r\n")
  const more = (): void => {
    for (let n = 0; n < 200 && socket.writable; n++) socket.write("x")
    if (socket.writable) setImmediate(more)
  }
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
  "/brotli": (_, response) =>
    void response.writeHead(200, { "content-encoding": "br" }).end(zlib.brotliCompressSync("hello")),
  "/drip": (request) => drip(request.socket),
  // For longer than anybody waits; a socket that is never read would not hear that the other end is gone.
  "/deaf": (request) => {
    request.socket.pause()
    setTimeout(() => request.socket.destroy(), 3_000)
  },
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
  const path = request.url?.split("?")[0] ?? ""
  const route = routes[path]
  const texts = floods[path]
  if (texts !== undefined) flood(request.socket, ...texts)
  else if (route === undefined) response.end("hello")
  else route(request, response)
})
server.on("connection", (socket) => socket.on("error", () => {}))
server.listen(0, "127.0.0.1", () => parentPort?.postMessage((server.address() as AddressInfo).port))
