/** The wire protocol of an Agentlip hub. Hub, client, command line and console all use these declarations. */
export * from "./Api.ts"
export * from "./Entities.ts"
export * from "./Errors.ts"
export * from "./Events.ts"
export * from "./Middlewares.ts"
export * from "./OperationsApi.ts"
export * from "./Plugins.ts"
export * from "./ServerFile.ts"
