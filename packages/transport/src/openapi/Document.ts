/** OpenAPI 3.1 documents, as far as we write them, and what a user may say of theirs. */
import type { Json, Schema } from "./JsonSchema.ts"
import type { Parameter } from "./Parameters.ts"

export interface Info {
  readonly title: string
  readonly version: string
  readonly summary?: string
  readonly description?: string
  readonly termsOfService?: string
  readonly contact?: { readonly name?: string; readonly url?: string; readonly email?: string }
  readonly license?: { readonly name: string; readonly identifier?: string; readonly url?: string }
}

export interface Server {
  readonly url: string
  readonly description?: string
}

export type SecurityScheme =
  | { readonly type: "http"; readonly scheme: string; readonly bearerFormat?: string; readonly description?: string }
  | { readonly type: "apiKey"; readonly in: "header" | "query" | "cookie"; readonly name: string; readonly description?: string }
  | { readonly type: "mutualTLS"; readonly description?: string }
  | { readonly type: "openIdConnect"; readonly openIdConnectUrl: string; readonly description?: string }
  | { readonly type: "oauth2"; readonly flows: { readonly [flow: string]: Json }; readonly description?: string }

/** Schemes by name, with their scopes. */
export type SecurityRequirement = Readonly<Record<string, ReadonlyArray<string>>>

export interface MediaTypes {
  readonly [mediaType: string]: { readonly schema: Schema; readonly examples?: { readonly [name: string]: Json } }
}

export interface Response {
  readonly description: string
  readonly content?: MediaTypes
}

export interface Operation {
  readonly operationId: string
  readonly tags: ReadonlyArray<string>
  readonly summary?: string
  readonly description?: string
  readonly deprecated?: boolean
  readonly parameters?: ReadonlyArray<Parameter>
  readonly requestBody?: { readonly required: boolean; readonly content: MediaTypes }
  readonly responses: { readonly [status: string]: Response | { readonly $ref: string } }
  /** OpenAPI has no words for a WebSocket: what its frames hold, each way. */
  readonly "x-websocket"?: { readonly send: Schema; readonly receive: Schema }
}

export interface Document {
  readonly openapi: "3.1.0"
  readonly info: Info
  readonly servers: ReadonlyArray<Server>
  readonly tags: ReadonlyArray<{ readonly name: string; readonly description?: string }>
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } }
  readonly components: {
    readonly schemas: { readonly [name: string]: Schema }
    readonly responses: { readonly [name: string]: Response }
    readonly securitySchemes?: { readonly [name: string]: SecurityScheme }
  }
  readonly security?: ReadonlyArray<SecurityRequirement>
}
