package vault

// Limits of format 1; docs/vault-format.md, section 12. Sizes in bytes.
const (
	MaxConfig       = 64 << 10
	MaxCard         = 16 << 10
	MaxSegment      = 16 << 20
	MaxClaims       = 4096
	MaxOperations   = 65536
	FrameSize       = 1 << 20
	MaxFrames       = 1024
	MaxPackChunks   = 131072
	MaxTrailer      = 64 << 20
	MaxPack         = 1 << 30
	MaxChunk        = 16 << 20
	MaxInlineChunks = 1024
	ListPiece       = 16384 // chunk ids
	MaxListLevel    = 3
	MaxName         = 1024
	MaxText         = 64 << 10
	MaxAttributes   = 1024
	MaxMarkSources  = 65536
	MaxDepth        = 65536 // directories above one that is put
	maxSeq          = 9_999_999_999_999_999
)
