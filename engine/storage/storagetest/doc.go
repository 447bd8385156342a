// Package storagetest is what every object store has to prove, and stores for
// the tests of what is built on one.
//
// Suite is the conformance suite: a store that passes it keeps the contract
// of package storage. Memory is a store that can be cloned in an instant;
// Faulty is a wrapper that breaks chosen operations in every way a real store
// breaks; Crashes runs something once for each place where the machine may
// stop. Together they let a test say: whatever fails, at whatever operation,
// one of the legal states is left.
//
// The package is for tests: no program imports it.
package storagetest
