package main

import (
	"context"
	"errors"
	"net/http"

	khttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/go-kratos/kratos/v2/transport/http/binding"

	pb "effect-kratos/interop/fleet/gen/fleetv1"
)

// v2 has no streams over HTTP.
func serveStreams(*khttp.Router, *fleet) {}

func (c *caller) httpStream(context.Context, Job) ([]*pb.TalkMessage, error) {
	return nil, errors.New("v2 has no streams over HTTP")
}

func buildPath(template string, message any) string {
	return binding.EncodeURL(template, message, true)
}

// defaults are the call options of v2's generated clients, which leave the format to Kratos.
func defaults() []khttp.CallOption { return nil }

func binary() []khttp.CallOption {
	header := http.Header{"Accept": []string{"application/proto"}}
	return []khttp.CallOption{khttp.Header(&header), khttp.ContentType("application/proto")}
}
