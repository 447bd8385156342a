package durable

func renameOrRefuse(old, new string) error { return createName(old, new) }
