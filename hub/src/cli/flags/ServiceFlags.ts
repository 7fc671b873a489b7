/** Flags that name the servers a hub can use besides its own files. */
import { Config } from "effect"
import { Flag } from "effect/cli"

export const serviceFlags = {
  database: Flag.Redacted("database").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription(
      "postgres://USER:PASSWORD@HOST/NAME, which several hubs can share. Default: AGENTLIP_DATABASE, or a file in .agentlip/"
    ),
    Flag.withFallbackConfig(Config.Redacted("AGENTLIP_DATABASE")),
    Flag.optional
  ),
  redis: Flag.Redacted("redis").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription(
      "redis://USER:PASSWORD@HOST:PORT, where hubs share the circuits of their plugins. Default: AGENTLIP_REDIS, or no sharing"
    ),
    Flag.withFallbackConfig(Config.Redacted("AGENTLIP_REDIS")),
    Flag.optional
  )
}
