import { networkInterfaces } from 'node:os';
import { expect } from 'chai';
import { interfaceNames } from '../../../../src/agent/net/interface-names.ts';

describe('the names of network interfaces', () => {
  it('include those that have an address', () => {
    expect([...interfaceNames()]).to.include.members(Object.keys(networkInterfaces()));
  });
});
