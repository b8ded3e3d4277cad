package main

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/go-kratos/kratos/v3/middleware/metadata"
	"github.com/go-kratos/kratos/v3/middleware/recovery"
	kgrpc "github.com/go-kratos/kratos/v3/transport/grpc"
	khttp "github.com/go-kratos/kratos/v3/transport/http"

	pb "effect-kratos/interop/fleet/gen/fleetv1"
)

// callers are the clients of a program, one for each target and protocol.
type callers struct {
	registry Registry
	name     string
	mutex    sync.Mutex
	known    map[string]*caller
}

type caller struct {
	conn *grpc.ClientConn
	http *khttp.Client
}

func newCallers(registry Registry, name string) *callers {
	return &callers{registry: registry, name: name, known: map[string]*caller{}}
}

func (c *callers) get(target, protocol string) (*caller, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	key := protocol + " " + target
	if made := c.known[key]; made != nil {
		return made, nil
	}
	var err error
	made := new(caller)
	// no timeout but that of each call
	if protocol == "http" {
		options := []khttp.ClientOption{
			khttp.WithEndpoint(target), khttp.WithTimeout(20 * time.Second),
			khttp.WithMiddleware(recovery.Recovery(), clientTracing(), metadata.Client()),
		}
		if c.registry != nil {
			options = append(options, khttp.WithDiscovery(c.registry), khttp.WithBlock())
		}
		made.http, err = khttp.NewClient(context.Background(), options...)
	} else {
		options := []kgrpc.ClientOption{
			kgrpc.WithEndpoint(target), kgrpc.WithTimeout(20 * time.Second),
			kgrpc.WithMiddleware(recovery.Recovery(), clientTracing(), metadata.Client()),
		}
		if c.registry != nil {
			options = append(options, kgrpc.WithDiscovery(c.registry))
		}
		made.conn, err = dial(context.Background(), options...)
	}
	if err != nil {
		return nil, err
	}
	c.known[key] = made
	return made, nil
}

// options of a call over HTTP: those of the version's own clients, or binary messages.
func formatOf(dialect, operation string) []khttp.CallOption {
	named := khttp.Operation("/fleet.v1.Fleet/" + operation)
	if dialect == "binary" {
		return append(binary(), named)
	}
	return append(defaults(), named)
}

func (c *callers) visit(ctx context.Context, target, protocol, dialect string, in *pb.VisitRequest) (*pb.VisitReply, error) {
	to, err := c.get(target, protocol)
	if err != nil {
		return nil, err
	}
	if to.conn != nil {
		return pb.NewFleetClient(to.conn).Visit(ctx, in)
	}
	out := new(pb.VisitReply)
	return out, to.http.Invoke(ctx, "POST", "/v1/visits", in, out, formatOf(dialect, "Visit")...)
}
