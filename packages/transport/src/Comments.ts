/** The comments of a contract. Descriptors carry none at run time, so generated code brings them beside, in a module that only documents load. */

/** Texts by the full names of what they describe: `pkg.Service`, `pkg.Service.Method`, `pkg.Message.field`, `pkg.ENUM_VALUE`. */
export type Comments = Readonly<Record<string, string>>

export type Load = () => Promise<{ readonly comments: Comments }>
