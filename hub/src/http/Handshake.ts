/** Checks a WebSocket handshake (RFC 6455, 4.2.1). `ws` would refuse it in another format, or not at all. */
import { NodeHttpServerRequest } from "@effect/platform-node"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import { refusal } from "./Failures.ts"

const name = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const parameter = `${name}(?:=(?:${name}|"${name}"))?`
const extension = `${name}(?:[ \\t]*;[ \\t]*${parameter})*`

const listOf = (item: string): RegExp => new RegExp(`^${item}(?:[ \\t]*,[ \\t]*${item})*$`)
const protocols = listOf(name)
const extensions = listOf(extension)

const isOnce = (list: string): boolean => {
  const names = list.split(/[ \t]*,[ \t]*/)
  return new Set(names).size === names.length
}

const wrong = (error: string) => refusal("INVALID_INPUT", error)

/**
 * The reason to refuse a handshake. Node joins repeated headers with a comma, which a valid key or version never has.
 */
export const handshakeObjection = (
  request: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse | undefined => {
  const { headers } = request
  if (headers["upgrade"]?.toLowerCase() !== "websocket") return wrong("This is for WebSockets only")
  const { httpVersionMajor, httpVersionMinor } = NodeHttpServerRequest.toIncomingMessage(request)
  if (httpVersionMajor === 1 && httpVersionMinor < 1) return wrong("A WebSocket needs HTTP/1.1")
  if (!/(^|,)\s*upgrade\s*(,|$)/i.test(headers["connection"] ?? ""))
    return wrong("Connection: must be Upgrade")
  if (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined)
    return wrong("A WebSocket's handshake has no body")
  if (!/^[+/0-9A-Za-z]{21}[AQgw]==$/.test(headers["sec-websocket-key"] ?? ""))
    return wrong("Sec-WebSocket-Key: must be 16 bytes in base64, once")
  if (headers["sec-websocket-version"] !== "13")
    return refusal("INVALID_INPUT", "Sec-WebSocket-Version: must be 13, once", {
      status: 426,
      headers: { upgrade: "websocket", "sec-websocket-version": "13" }
    })
  const protocol = headers["sec-websocket-protocol"]
  if (protocol !== undefined && !(protocols.test(protocol) && isOnce(protocol)))
    return wrong("Sec-WebSocket-Protocol: must be names separated by commas, each once")
  // The hub supports no extension, and says so by naming none in its response.
  const offers = headers["sec-websocket-extensions"]
  return offers === undefined || extensions.test(offers)
    ? undefined
    : wrong("Sec-WebSocket-Extensions: must be names separated by commas, each with parameters after ;")
}
