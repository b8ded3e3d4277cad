package main

import (
	"context"
	"io"
	"net"
	"net/url"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	kratos "github.com/go-kratos/kratos/v3"
	"github.com/go-kratos/kratos/v3/errors"
	"github.com/go-kratos/kratos/v3/middleware"
	"github.com/go-kratos/kratos/v3/middleware/metadata"
	"github.com/go-kratos/kratos/v3/middleware/recovery"
	"github.com/go-kratos/kratos/v3/middleware/validate"
	kgrpc "github.com/go-kratos/kratos/v3/transport/grpc"
	khttp "github.com/go-kratos/kratos/v3/transport/http"

	pb "effect-kratos/interop/fleet/gen/fleetv1"
)

func endOf(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// validName stands for a Validate method that a generator would have written.
func validName() middleware.Middleware {
	return func(handler middleware.Handler) middleware.Handler {
		return func(ctx context.Context, req any) (any, error) {
			if in, ok := req.(*pb.VisitRequest); ok && in.Name == "" {
				return nil, errors.BadRequest("VALIDATOR", "name must not be empty")
			}
			return handler(ctx, req)
		}
	}
}

func (f *fleet) Watch(in *pb.TalkMessage, out grpc.ServerStreamingServer[pb.TalkMessage]) error {
	return f.watch(in, out)
}

func (f *fleet) Talk(stream grpc.BidiStreamingServer[pb.TalkMessage, pb.TalkMessage]) error {
	return f.talk(stream, stream)
}

func (f *fleet) Collect(stream grpc.ClientStreamingServer[pb.TalkMessage, pb.TalkMessage]) error {
	reply, err := f.collect(stream)
	if err != nil {
		return err
	}
	return stream.SendAndClose(reply)
}

// route is what protoc-gen-go-http writes for a unary method.
func route[I, O any, P interface {
	*I
	proto.Message
}](router *khttp.Router, method, path, operation string, bind func(khttp.Context, P) error, call func(context.Context, P) (O, error)) {
	router.Handle(method, path, func(ctx khttp.Context) error {
		in := P(new(I))
		if err := bind(ctx, in); err != nil {
			return err
		}
		khttp.SetOperation(ctx, "/fleet.v1.Fleet/"+operation)
		handler := ctx.Middleware(func(ctx context.Context, req any) (any, error) { return call(ctx, req.(P)) })
		out, err := handler(ctx, in)
		if err != nil {
			return err
		}
		return ctx.Result(200, out)
	})
}

func body[P any](ctx khttp.Context, in P) error { return ctx.Bind(in) }

func queryAndPath[P any](ctx khttp.Context, in P) error {
	if err := ctx.BindQuery(in); err != nil {
		return err
	}
	return ctx.BindVars(in)
}

func serve(config Config, ended <-chan struct{}) error {
	registry, err := openRegistry(config.Registry)
	if err != nil {
		return err
	}
	f := &fleet{id: config.ID, callers: newCallers(registry, config.Name), interrupted: map[string]int32{}}
	httpListener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	grpcListener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	// the servers take a listener's host from the address, which is 0.0.0.0 unless it is given
	chain := []middleware.Middleware{recovery.Recovery(), serverTracing(), metadata.Server(), validate.Validator(), validName()}
	web := khttp.NewServer(khttp.Listener(httpListener), khttp.Address(httpListener.Addr().String()), khttp.Timeout(10*time.Second), khttp.Middleware(chain...))
	router := web.Route("/")
	route(router, "POST", "/v1/visits", "Visit", body[*pb.VisitRequest], f.Visit)
	route(router, "GET", "/v1/interrupted/{name}", "Interrupted", queryAndPath[*pb.InterruptedRequest], f.Interrupted)
	route(router, "PUT", "/v1/things", "PutThing", body[*pb.Thing], f.PutThing)
	route(router, "GET", "/v1/things/{id}", "GetThing", queryAndPath[*pb.GetThingRequest], f.GetThing)
	serveStreams(router, f)
	rpc := kgrpc.NewServer(kgrpc.Listener(grpcListener), kgrpc.Address(grpcListener.Addr().String()), kgrpc.Timeout(10*time.Second), kgrpc.Middleware(chain...))
	pb.RegisterFleetServer(rpc, f)

	stopping, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	options := []kratos.Option{
		kratos.ID(config.ID), kratos.Name(config.Name), kratos.Version(config.Version), kratos.Server(web, rpc),
		kratos.AfterStart(func(context.Context) error {
			say(map[string]int{"http": port(httpListener), "grpc": port(grpcListener)})
			return nil
		}),
	}
	if config.Metadata != nil {
		options = append(options, kratos.Metadata(config.Metadata))
	}
	for range config.Endpoints[:min(1, len(config.Endpoints))] {
		urls := make([]*url.URL, len(config.Endpoints))
		for i, text := range config.Endpoints {
			if urls[i], err = url.Parse(text); err != nil {
				return err
			}
		}
		options = append(options, kratos.Endpoint(urls...))
	}
	if registry != nil {
		options = append(options, kratos.Registrar(registry))
	}
	app := kratos.New(options...)
	go func() {
		select {
		case <-ended:
			_ = app.Stop()
		case <-stopping.Done():
		}
	}()
	return app.Run()
}

func port(listener net.Listener) int {
	_, text, _ := net.SplitHostPort(listener.Addr().String())
	number, _ := strconv.Atoi(text)
	return number
}
