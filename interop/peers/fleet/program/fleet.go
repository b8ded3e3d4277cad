package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/go-kratos/kratos/v3/errors"
	"github.com/go-kratos/kratos/v3/metadata"
	"github.com/go-kratos/kratos/v3/transport"

	pb "effect-kratos/interop/fleet/gen/fleetv1"
)

// The codes of FleetReason.
var reasons = map[string]int{"PLACE_NOT_FOUND": 404, "PLACE_BUSY": 409, "TEAPOT": 418}

type fleet struct {
	pb.UnimplementedFleetServer
	id          string
	callers     *callers
	mutex       sync.Mutex
	interrupted map[string]int32
}

func (f *fleet) Visit(ctx context.Context, in *pb.VisitRequest) (*pb.VisitReply, error) {
	hop := &pb.Hop{Node: f.id, Metadata: map[string]string{}, TimeLeftMs: -1}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		hop.TraceId = span.TraceID().String()
	}
	if md, ok := metadata.FromServerContext(ctx); ok {
		md.Range(func(key string, values []string) bool {
			if key = strings.ToLower(key); strings.HasPrefix(key, "x-md-") {
				hop.Metadata[key] = strings.Join(values, ",")
			}
			return true
		})
	}
	if deadline, ok := ctx.Deadline(); ok {
		hop.TimeLeftMs = time.Until(deadline).Milliseconds()
	}
	if info, ok := transport.FromServerContext(ctx); ok {
		hop.Transport = info.Kind().String()
	}
	if len(in.Route) > 0 {
		next := &pb.VisitRequest{Name: in.Name, Route: in.Route[1:], FailReason: in.FailReason, WaitMs: in.WaitMs}
		reply, err := f.callers.visit(ctx, in.Route[0].Target, in.Route[0].Protocol, "", next)
		if err != nil {
			return nil, err
		}
		return &pb.VisitReply{Hops: append([]*pb.Hop{hop}, reply.Hops...)}, nil
	}
	if in.WaitMs > 0 {
		select {
		case <-time.After(time.Duration(in.WaitMs) * time.Millisecond):
		case <-ctx.Done():
			f.mutex.Lock()
			f.interrupted[in.Name]++
			f.mutex.Unlock()
			return nil, ctx.Err()
		}
	}
	if in.FailReason != "" {
		return nil, errors.New(reasons[in.FailReason], in.FailReason, in.Name+" ü").WithMetadata(map[string]string{"name": in.Name, "node": f.id})
	}
	return &pb.VisitReply{Hops: []*pb.Hop{hop}}, nil
}

func (f *fleet) Interrupted(_ context.Context, in *pb.InterruptedRequest) (*pb.InterruptedReply, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return &pb.InterruptedReply{Count: f.interrupted[in.Name]}, nil
}

func (f *fleet) PutThing(_ context.Context, in *pb.Thing) (*pb.Thing, error) { return in, nil }

func (f *fleet) GetThing(_ context.Context, in *pb.GetThingRequest) (*pb.Thing, error) {
	return &pb.Thing{Id: in.Id, BigNumber: in.BigNumber, MainColor: in.MainColor, CreatedAt: in.CreatedAt, IsNew: in.IsNew}, nil
}

// What the streams of gRPC and of HTTP have in common.
type sender interface{ Send(*pb.TalkMessage) error }
type receiver interface {
	Recv() (*pb.TalkMessage, error)
}

func busy() error {
	return errors.New(409, "PLACE_BUSY", "no more").WithMetadata(map[string]string{"k": "v"})
}

func (f *fleet) watch(in *pb.TalkMessage, out sender) error {
	if in.Text == "early" {
		return busy()
	}
	for i := int64(0); i < 3; i++ {
		if err := out.Send(&pb.TalkMessage{Text: in.Text, Number: in.Number + i}); err != nil {
			return err
		}
	}
	if in.Text == "late" {
		return busy()
	}
	return nil
}

func (f *fleet) talk(in receiver, out sender) error {
	for {
		message, err := in.Recv()
		if err != nil {
			return endOf(err)
		}
		if message.Text == "fail" {
			return busy()
		}
		if err := out.Send(message); err != nil {
			return err
		}
	}
}

func (f *fleet) collect(in receiver) (*pb.TalkMessage, error) {
	texts := []string{}
	for {
		message, err := in.Recv()
		if err != nil {
			return &pb.TalkMessage{Text: strings.Join(texts, ","), Number: int64(len(texts))}, endOf(err)
		}
		texts = append(texts, message.Text)
	}
}
