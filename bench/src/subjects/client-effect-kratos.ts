import { main } from "./greeter-calls.ts"

main()
