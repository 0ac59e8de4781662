/*
 * `sallyport __complete WORD...`: the completion of one word, for scripts and for kubectl.
 */
import { type Command, Option } from 'commander';
import { describeProgram, type ProgramModel } from '../completion/command-model.ts';
import { complete, formatCompletion } from '../completion/complete.ts';
import type { CommandContext, CommandHost } from '../context/command-context.ts';
import { EXIT_OK } from '../context/exit-codes.ts';
import type { ClusterOptions } from '../live/cluster-options.ts';
import { writeDocument } from '../terminal/writers.ts';

/** Adds `__complete` to the program; help does not list it. */
export function addCompleteCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('__complete', { hidden: true })
    .summary('complete a word')
    .description('Prints what the last word of a command line could be.')
    .argument('[word...]', 'words of the command line')
    // PowerShell drops empty arguments.
    .addOption(new Option('--next', 'the word to complete is empty, and is not among the words'))
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (words: string[], { next }: { readonly next?: boolean }) => {
      await printCompletion(describeProgram(program), next === true ? [...words, ''] : words, context);
      finish(EXIT_OK);
    });
}

async function printCompletion(model: ProgramModel, words: readonly string[], context: CommandContext): Promise<void> {
  const completion = complete(model, words);
  const { names } = completion;
  let found: readonly string[] = [];
  if (names !== undefined) {
    const { clusterNames } = await import('../live/cluster-names.ts');
    found = await clusterNames(names, words.at(-1) ?? '', { options: clusterOptionsIn(words), context });
  }
  writeDocument(context.stdout, formatCompletion(completion, found));
}

/** The cluster that the other words choose. */
function clusterOptionsIn(words: readonly string[]): ClusterOptions {
  const valueOf = (...flags: readonly string[]): string | undefined => {
    const at = words.findIndex((word, index) => flags.includes(word) && index < words.length - 2);
    return at === -1 ? undefined : words[at + 1];
  };
  const [namespace, kubeconfig, context] = [valueOf('-n', '--namespace'), valueOf('--kubeconfig'), valueOf('--context')];
  return {
    ...(namespace === undefined ? {} : { namespace }),
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
  };
}
