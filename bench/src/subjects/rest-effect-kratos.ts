/** The same program as for unary: one port serves both. */
import "./unary-effect-kratos.ts"
