// Package testseed gives tests random numbers that can be had again: it prints
// the seed, and HOLM_TEST_SEED sets it. Only tests import it.
package testseed

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Rand gives the random numbers of a test.
func Rand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("HOLM_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d; HOLM_TEST_SEED sets it", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
