/*
 * The Dockerfiles make the images of a release: the same files, user, environment and entry point.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { IMAGE_NAMES, IMAGES } from '../../../../scripts/release/image-contents.ts';

const root = join(import.meta.dirname, '../../../..');

function instruction(name: string, text: string): string {
  const found = [...text.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))];
  expect(found, name).to.have.length(1);
  return found[0]?.[1] ?? '';
}

describe('Dockerfiles', () => {
  for (const name of IMAGE_NAMES) {
    it(`make the same ${name} as a release`, () => {
      const text = readFileSync(join(root, `Dockerfile.${name}`), 'utf8');
      const [, final = ''] = text.split('\nFROM scratch\n');
      const env = Object.entries(IMAGES[name].env).map(([variable, value]) => `${variable}=${value}`);

      expect(text).to.include(`node scripts/image-root.ts ${name} /root-fs`);
      expect(instruction('COPY', final)).to.equal('--from=build /root-fs /');
      expect(final).to.not.match(/^(RUN|ADD|CMD|WORKDIR|VOLUME) /m);
      expect(JSON.parse(instruction('ENTRYPOINT', final))).to.deep.equal(IMAGES[name].entrypoint);
      expect(instruction('ENV', final).split(' ')).to.deep.equal(env);
      expect(instruction('USER', final)).to.equal(IMAGES[name].user);
      expect(instruction('LABEL', final)).to.include(`org.opencontainers.image.title="${IMAGES[name].title}"`);
    });
  }

  it('name their base image by digest', () => {
    for (const name of IMAGE_NAMES) {
      expect(readFileSync(join(root, `Dockerfile.${name}`), 'utf8')).to.match(/^ARG NODE_IMAGE=[\w:.-]+@sha256:[0-9a-f]{64}$/m);
    }
  });
});
