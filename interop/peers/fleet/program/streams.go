package main

import (
	"context"
	"io"

	khttp "github.com/go-kratos/kratos/v3/transport/http"

	pb "effect-kratos/interop/fleet/gen/fleetv1"
)

// The streams of HTTP, which came with v3: what its protoc-gen-go-http writes.
type httpStream struct{ khttp.ServerStream }

func (s httpStream) Send(message *pb.TalkMessage) error { return s.ServerStream.Send(message) }

func (s httpStream) Recv() (*pb.TalkMessage, error) {
	message := new(pb.TalkMessage)
	return message, s.ServerStream.Recv(message)
}

func serveStreams(router *khttp.Router, f *fleet) {
	router.GET("/v1/watch/{text}", func(ctx khttp.Context) error {
		in := new(pb.TalkMessage)
		if err := queryAndPath(ctx, in); err != nil {
			return err
		}
		stream := khttp.NewServerSentEventServerStream(ctx)
		khttp.SetOperation(ctx, "/fleet.v1.Fleet/Watch")
		handler := ctx.Middleware(func(ctx context.Context, req any) (any, error) {
			stream.SetContext(ctx)
			return nil, f.watch(req.(*pb.TalkMessage), httpStream{stream})
		})
		_, err := handler(ctx, in)
		return stream.Close(err)
	})
	socket := func(path, operation string, call func(httpStream) error) {
		router.GET(path, func(ctx khttp.Context) error {
			stream, err := khttp.NewWebSocketServerStream(ctx)
			if err != nil {
				return err
			}
			khttp.SetOperation(ctx, "/fleet.v1.Fleet/"+operation)
			handler := ctx.Middleware(func(ctx context.Context, _ any) (any, error) {
				stream.SetContext(ctx)
				return nil, call(httpStream{stream})
			})
			_, err = handler(ctx, nil)
			return stream.Close(err)
		})
	}
	socket("/v1/talk", "Talk", func(stream httpStream) error { return f.talk(stream, stream) })
	socket("/v1/collect", "Collect", func(stream httpStream) error {
		reply, err := f.collect(stream)
		if err != nil {
			return err
		}
		return stream.SendAndClose(reply)
	})
}

const jsonFormat = "application/protojson"

// buildPath fills a template and adds the other fields as a query.
func buildPath(template string, message any) string {
	return khttp.BuildPath(template, message, khttp.WithQueryParams())
}

// defaults are the call options of v3's generated clients.
func defaults() []khttp.CallOption {
	return []khttp.CallOption{khttp.Accept(jsonFormat), khttp.ContentType(jsonFormat)}
}

func binary() []khttp.CallOption {
	return []khttp.CallOption{khttp.Accept("application/proto"), khttp.ContentType("application/proto")}
}

func (c *caller) httpStream(ctx context.Context, job Job) ([]*pb.TalkMessage, error) {
	replies := []*pb.TalkMessage{}
	drain := func(stream khttp.ClientStream) error {
		for {
			reply := new(pb.TalkMessage)
			if err := stream.Recv(reply); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			replies = append(replies, reply)
		}
	}
	messages := job.messages()
	if job.Do == "watch" {
		stream, err := c.http.ServerSentEvent(ctx, "GET", buildPath("/v1/watch/{text}", messages[0]), nil,
			khttp.Accept("text/event-stream"), khttp.ContentType(jsonFormat), khttp.Operation("/fleet.v1.Fleet/Watch"))
		if err != nil {
			return nil, err
		}
		err = drain(stream)
		return replies, err
	}
	stream, err := c.http.WebSocket(ctx, "/v1/"+job.Do, defaults()...)
	if err != nil {
		return nil, err
	}
	for _, message := range messages {
		if err := stream.Send(message); err != nil {
			return nil, err
		}
	}
	if job.Do == "collect" {
		reply := new(pb.TalkMessage)
		err := stream.CloseAndRecv(reply)
		return []*pb.TalkMessage{reply}, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	err = drain(stream)
	return replies, err
}
