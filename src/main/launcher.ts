/*
 * Entry point of the npm package. An older Node.js cannot even parse the command line's file, so this one has nothing but the check of the
 * version; the build writes it in syntax that Node.js 14 knows.
 */
import packageJson from '../../package.json' with { type: 'json' };

/** Exit code for an invalid configuration (EX_CONFIG of sysexits.h). */
const EX_CONFIG = 78;
const needed = Number(/\d+/.exec(packageJson.engines.node)?.[0]);

if (Number.parseInt(process.versions.node, 10) < needed) {
  process.stderr.write(`sallyport: Node.js ${needed} or newer is required; ${process.execPath} is ${process.version}\n`);
  process.exit(EX_CONFIG);
}
void import('./cli.ts');
