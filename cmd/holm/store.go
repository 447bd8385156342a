package main

import (
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"holm.example/engine/storage"
)

// storeFlags are the flags about how the store of a vault is used.
type storeFlags struct {
	ssh, credentials string
	upload, download rate
}

func (f *storeFlags) register(flags *pflag.FlagSet) {
	flags.Var(&f.upload, "limit-upload", "send at most `RATE` to a vault over the network: KiB/s, or with K, M or G")
	flags.Var(&f.download, "limit-download", "receive at most `RATE`")
	flags.StringVar(&f.ssh, "ssh", "", "`command` in place of ssh for sftp: vaults, such as \"ssh -i KEY\"")
	flags.StringVar(&f.credentials, "s3-credentials", "", "`file` with the keys of s3: vaults (default ~/.aws/credentials)")
}

// store is how the store of the vault is used.
func (a *app) store() storage.OpenOptions {
	o := storage.OpenOptions{SSH: strings.Fields(a.storeFlags.ssh), Credentials: a.storeFlags.credentials, Note: a.ui.note,
		Limits: storage.Limits{Upload: int64(a.storeFlags.upload), Download: int64(a.storeFlags.download)}}
	if len(o.SSH) == 0 {
		o.SSH = strings.Fields(a.env("HOLM_SSH"))
	}
	if o.Credentials == "" {
		o.Credentials = a.env("HOLM_S3_CREDENTIALS")
	}
	return o
}

// A rate is a number of bytes a second, 0 for as many as possible.
type rate int64

// String implements pflag.Value.
func (r *rate) String() string {
	if *r == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*r)/1024, 10)
}

// Type implements pflag.Value.
func (r *rate) Type() string { return "rate" }

// Set implements pflag.Value.
func (r *rate) Set(text string) error {
	digits := strings.TrimRight(text, "KMGkmg")
	unit := int64(1 << 10)
	switch strings.ToUpper(text[len(digits):]) {
	case "", "K":
	case "M":
		unit = 1 << 20
	case "G":
		unit = 1 << 30
	default:
		digits = ""
	}
	n, err := strconv.ParseFloat(digits, 64)
	if bytes := n * float64(unit); err != nil || bytes < storage.MinLimit || bytes > 1<<50 {
		return errRate
	}
	*r = rate(n * float64(unit))
	return nil
}

// errRate says how a rate is written.
const errRate = rateError("write KiB/s, 1 or more, such as 500, or 500K, 1.5M, 1G")

type rateError string

func (e rateError) Error() string { return string(e) }
