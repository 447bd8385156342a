// Package acceptance proves the published site with the clients that people
// use: apt of four releases of Debian, dnf 4, dnf 5 and zypper, each in a whole
// system of its own (package root), with every signature check and date check
// on, over HTTP on loopback.
//
// TestAcceptance makes three releases with the real holm-publish, the third
// signed by the standby archive key, and walks through each client's life:
// bootstrap, install, back up, be attacked, upgrade, live through a new key,
// be removed. Each subtest is a step, named so that a failure tells which
// client did not do what. What a client prints is compared with its own words,
// and the installed version is asked for after every step: exit codes lie.
//
// Where the systems cannot be had (no root, no sudo, no debootstrap), the test
// is skipped by name, or fails if CI=true. deps.sh installs what is needed.
package acceptance
