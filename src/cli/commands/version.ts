/*
 * `sallyport version`: the version of the program and of its runtime.
 */
import type { Command } from 'commander';
import { VERSION } from '../../version.ts';
import type { CommandHost } from '../context/command-context.ts';
import { EXIT_OK } from '../context/exit-codes.ts';
import { formatDocument, type OutputFormat, outputOption } from '../output/structured.ts';
import { writeDocument } from '../terminal/writers.ts';

/** Adds `version` to the program. */
export function addVersionCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('version')
    .summary('print the version')
    .description('Prints the version of this program and of the Node.js that runs it.')
    .addOption(outputOption())
    .action(({ output }: { readonly output: OutputFormat }) => {
      const facts = { version: VERSION, node: process.versions.node, platform: `${process.platform}-${process.arch}` };
      const line = `sallyport ${facts.version} (Node.js ${facts.node}, ${facts.platform})\n`;
      writeDocument(context.stdout, output === 'table' ? line : formatDocument('Version', facts, output));
      finish(EXIT_OK);
    });
}
