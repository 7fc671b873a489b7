#!/usr/bin/env node
// The command `agentlipd` of Agentlip v1: `agentlipd up` and `agentlipd status`.
process.argv.splice(2, 0, "agentlipd")
import("./agentlip.js")
