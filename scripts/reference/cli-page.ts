/*
 * docs/reference/cli.md from the commander program and the exit codes.
 */
import { PassThrough } from 'node:stream';
import { exampleLines } from '../../src/cli/commands/examples.ts';
import { type CommandModel, describeProgram, type OptionModel } from '../../src/cli/completion/command-model.ts';
import * as exitCodes from '../../src/cli/context/exit-codes.ts';
import { MAX_BYTES, MAX_FILE_BYTES } from '../../src/cli/input/read-file.ts';
import { createProgram } from '../../src/cli/program.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

const MIB = 1024 * 1024;
/** A copy, to index the codes by their name. */
const exitCodeByName: typeof exitCodes = { ...exitCodes };

const EXIT_TEXT: Readonly<Record<keyof typeof exitCodes, string>> = {
  EXIT_OK: 'success, without findings of severity error',
  EXIT_FAILURE:
    'an internal error, or a failure of the environment: the cluster is unreachable or refuses a request, a pod or bundle does not exist',
  EXIT_USAGE: 'the command line is invalid',
  EXIT_BAD_DATA: 'a file cannot be read or parsed, also a kubeconfig; a published bundle is one that agents refuse',
  EXIT_FINDINGS:
    'the input was read, and there are findings of severity error (`check --fail-on warning`: or warning); `test`: a test failed, or coverage is too low; `diff`: a decision flips',
  EXIT_UNDECIDED: '`diff`: neither a proof nor a request that disproves it was found, within `--timeout` or at all',
};

/** Text of docs/reference/cli.md. */
export async function cliPage(): Promise<string> {
  const nothing = (): Promise<never> => Promise.reject(new Error('not run'));
  const program = await createProgram({
    finish: () => undefined,
    context: {
      stdout: new PassThrough(),
      stderr: new PassThrough(),
      readStdin: nothing,
      cwd: '/',
      env: {},
      stopSignal: () => AbortSignal.abort(),
      startProofWorker: () => {
        throw new Error('not wired');
      },
      processes: { controller: nothing, agent: nothing },
    },
  });
  const { options, commands } = describeProgram(program);
  const exits = (Object.keys(EXIT_TEXT) as (keyof typeof exitCodes)[])
    .toSorted((one, other) => exitCodeByName[one] - exitCodeByName[other])
    .map((name) => [String(exitCodeByName[name]), EXIT_TEXT[name]]);
  return [
    GENERATED,
    '# Command line\n\n',
    '`sallyport COMMAND`, or `kubectl sallyport COMMAND` when `kubectl-sallyport` is on the `PATH`. `--help` works everywhere. Source: `src/cli`.\n\n',
    markdownTable(
      ['command', 'what it does'],
      commands.map((command) => [`[${code(command.name)}](#${command.name})`, command.summary]),
    ),
    '\n',
    optionTable(options),
    '\nData goes to stdout, findings and status to stderr, one line each: `file:line:column: severity: object: field: reason [code]`.\n',
    'The codes are in [errors.md](errors.md). Output is coloured on terminals only; `NO_COLOR=1` disables colours, `FORCE_COLOR=1` enables them.\n',
    'Control characters, bidirectional overrides and commands of CI services in names and values are printed as escapes such as `\\u001b`,\n',
    'in every format.\n',
    ...commands.map((command) => commandSection(command, [command.name])),
    '\n## Clusters\n\n',
    'As a plug-in of kubectl (`kubectl-sallyport` on the `PATH`) or by itself, `check`, `bundle`, `explain`, `logs` and `diff --live` read a cluster with the\n',
    'kubeconfig and the rights of the user, and change nothing. They need `get` and `list` on pods, policies and ConfigMaps of the namespace, and `get` on\n',
    '`pods/log` for `logs`. Services, the policies of the root namespace and the configuration of the controller are used as far as they can be read; a line\n',
    'on stderr says what is missing. An API server that does not respond within 5 seconds counts as unreachable.\n',
    '\n## Files\n\n',
    `Commands read regular files only, no FIFO and no device: pipe into \`-\` instead of \`<(...)\`. A file, and standard input, may have ${MAX_FILE_BYTES / MIB} MiB,\n`,
    `all manifests together and a file of requests ${MAX_BYTES / MIB} MiB; with \`run\`, a file 4 MiB and the directory 64 MiB. A link in a directory is followed if it\n`,
    'leads to a file in that directory; any other link is an error, so that the author of a directory does not choose what else is read.\n',
    '\n## Exit codes\n\n',
    markdownTable(['code', 'meaning'], exits),
    '\nSIGINT and SIGTERM end every command immediately; a shell reports 130 and 143. `run`, `controller` and `agent` first end what they run, and\n',
    'exit with 0; a second signal ends `run` immediately.\n',
  ].join('');
}

/** @param path the words that name the command, e.g. `keys`, `show` */
function commandSection(command: CommandModel, path: readonly string[]): string {
  const name = path.join(' ');
  const parts = [`\n${'#'.repeat(path.length + 1)} ${name}\n\n${command.description}\n`];
  if (command.commands.length > 0) {
    const rows = command.commands.map((each) => [`[${code(`${name} ${each.name}`)}](#${path.join('-')}-${each.name})`, each.summary]);
    parts.push('\n', markdownTable(['command', 'what it does'], rows));
    return [...parts, ...command.commands.map((each) => commandSection(each, [...path, each.name]))].join('');
  }
  parts.push(`\n\`\`\`sh\n${[usageOf(command, name), ...exampleLines(name)].join('\n')}\n\`\`\`\n`);
  const described = command.args.filter((argument) => argument.description !== '');
  if (described.length > 0) {
    const rows = described.map((argument) => [code(argument.term), withChoices(argument.description, argument.choices), '']);
    parts.push('\n', markdownTable(['argument', 'meaning', 'default'], rows));
  }
  if (command.options.length > 0) parts.push('\n', optionTable(command.options));
  return parts.join('');
}

function usageOf({ options, args }: CommandModel, name: string): string {
  const required = options.filter((option) => option.isRequired).map((option) => option.flags.replace(/^-\w, /, ''));
  return ['sallyport', name, ...required, ...args.map(({ term }) => term)].join(' ');
}

function optionTable(options: readonly OptionModel[]): string {
  return markdownTable(
    ['option', 'meaning', 'default'],
    options.map((option) => [code(option.flags), withChoices(option.description, option.choices), code(option.defaultValue ?? '')]),
  );
}

function withChoices(text: string, choices: readonly string[]): string {
  return choices.length === 0 ? text : `${text}: ${choices.map(code).join(', ')}`;
}
