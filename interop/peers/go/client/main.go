// Command client takes a server of test.v1.Echo through the cases with grpc-go: client HOST:PORT [CASE ...].
// It prints "ok NAME" or "FAIL NAME why" for each and ends with 1 when one failed.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"effect-kratos.dev/interop/contract"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

type request = contract.Request

type client struct {
	conn     *grpc.ClientConn
	contract *contract.Contract
	encoding atomic.Value // grpc-encoding of the newest reply
}

// TagRPC, HandleRPC, TagConn and HandleConn make the client its own observer: grpc-go shows the encoding of a reply nowhere else.
func (c *client) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (c *client) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (c *client) HandleConn(context.Context, stats.ConnStats)                       {}
func (c *client) HandleRPC(_ context.Context, event stats.RPCStats) {
	if header, is := event.(*stats.InHeader); is {
		c.encoding.Store(header.Compression)
	}
}

func (c *client) unary(ctx context.Context, r request, options ...grpc.CallOption) (contract.Reply, error) {
	reply := c.contract.NewReply()
	err := c.conn.Invoke(ctx, "/test.v1.Echo/Unary", c.contract.Request(r), reply, options...)
	return contract.ReadReply(reply), err
}

func (c *client) open(ctx context.Context, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.v1.Echo/"+method, options...)
}

// call opens a stream and sends all requests and the end.
func (c *client) call(ctx context.Context, method string, requests ...request) (grpc.ClientStream, error) {
	stream, err := c.open(ctx, method)
	if err != nil {
		return nil, err
	}
	for _, r := range requests {
		if err := stream.SendMsg(c.contract.Request(r)); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return stream, stream.CloseSend()
}

func (c *client) receive(stream grpc.ClientStream) (contract.Reply, error) {
	reply := c.contract.NewReply()
	err := stream.RecvMsg(reply)
	return contract.ReadReply(reply), err
}

// drain receives until the end; the error is nil when the status was OK.
func (c *client) drain(stream grpc.ClientStream) ([]contract.Reply, error) {
	var replies []contract.Reply
	for {
		reply, err := c.receive(stream)
		if errors.Is(err, io.EOF) {
			return replies, nil
		}
		if err != nil {
			return replies, err
		}
		replies = append(replies, reply)
	}
}

func same(reply contract.Reply, text string, payload []byte, index int) error {
	if reply.Text != text || !bytes.Equal(reply.Payload, payload) || int(reply.Index) != index {
		return fmt.Errorf("expected %q, %d bytes, index %d; got %q, %d bytes, index %d", text, len(payload), index, reply.Text, len(reply.Payload), reply.Index)
	}
	return nil
}

func hasCode(err error, code codes.Code) error {
	if got := status.Code(err); got != code {
		return fmt.Errorf("expected %v, got %v (%v)", code, got, err)
	}
	return nil
}

// isReason expects a status with code, message and details of the reason.
func isReason(err error, code codes.Code, reason, text string) error {
	if wrong := hasCode(err, code); wrong != nil {
		return wrong
	}
	s := status.Convert(err)
	if expected := reason + ": " + text; s.Message() != expected {
		return fmt.Errorf("expected message %q, got %q", expected, s.Message())
	}
	for _, detail := range s.Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is {
			if info.GetReason() != reason || info.GetMetadata()["text"] != text {
				return fmt.Errorf("wrong ErrorInfo: %v", info)
			}
			return nil
		}
	}
	return fmt.Errorf("no ErrorInfo in %v", s.Proto())
}

// interrupted waits until the server says that its handler of the call with this text was interrupted.
func (c *client) interrupted(ctx context.Context, text string) error {
	for range 100 {
		reply, err := c.unary(ctx, request{Text: "@interrupted:" + text})
		if err != nil {
			return err
		}
		if reply.Index > 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the handler was not interrupted within 5 s")
}

func unique(name string) string {
	return fmt.Sprintf("go-%s-%d-%d", name, os.Getpid(), time.Now().UnixNano())
}

type check func(context.Context, *client) error

func pattern(size int) []byte {
	bytes := make([]byte, size)
	for i := range bytes {
		bytes[i] = byte(i * 31)
	}
	return bytes
}

var cases = []struct {
	name string
	run  check
}{
	{"unary", func(ctx context.Context, c *client) error {
		reply, err := c.unary(ctx, request{Text: "hällo", Payload: pattern(300)})
		return errors.Join(err, same(reply, "hällo", pattern(300), 0))
	}},
	{"unary-empty", func(ctx context.Context, c *client) error {
		reply, err := c.unary(ctx, request{})
		return errors.Join(err, same(reply, "", nil, 0))
	}},
	{"unary-concurrent", func(ctx context.Context, c *client) error {
		results := make(chan error, 100)
		for i := range 100 {
			go func() {
				text := fmt.Sprint("call ", i)
				reply, err := c.unary(ctx, request{Text: text, DelayMs: int32(i % 3)})
				results <- errors.Join(err, same(reply, text, nil, 0))
			}()
		}
		var first error
		for range 100 {
			if err := <-results; first == nil {
				first = err
			}
		}
		return first
	}},
	{"server-stream", func(ctx context.Context, c *client) error {
		stream, err := c.call(ctx, "ServerStream", request{Text: "s", Count: 5})
		if err != nil {
			return err
		}
		return c.expect(stream, "s", nil, 5)
	}},
	{"server-stream-large", func(ctx context.Context, c *client) error {
		stream, err := c.call(ctx, "ServerStream", request{Text: "big", Count: 64, Payload: pattern(65_536)})
		if err != nil {
			return err
		}
		return c.expect(stream, "big", pattern(65_536), 64)
	}},
	{"client-stream", func(ctx context.Context, c *client) error {
		stream, err := c.call(ctx, "ClientStream", request{Text: "a", Payload: []byte{1}}, request{Text: "b"}, request{Text: "c", Payload: []byte{2, 3}})
		if err != nil {
			return err
		}
		return c.expectOne(stream, "a,b,c", []byte{1, 2, 3}, 3)
	}},
	{"client-stream-empty", func(ctx context.Context, c *client) error {
		stream, err := c.call(ctx, "ClientStream")
		if err != nil {
			return err
		}
		return c.expectOne(stream, "", nil, 0)
	}},
	{"bidi", func(ctx context.Context, c *client) error {
		stream, err := c.call(ctx, "Bidi", request{Text: "b", Count: 2}, request{Text: "b", Count: 2}, request{Text: "b"})
		if err != nil {
			return err
		}
		return c.expect(stream, "b", nil, 5)
	}},
	{"bidi-ping-pong", func(ctx context.Context, c *client) error {
		stream, err := c.open(ctx, "Bidi")
		if err != nil {
			return err
		}
		for i := range 10 {
			text := fmt.Sprint("ping ", i)
			if err := stream.SendMsg(c.contract.Request(request{Text: text})); err != nil {
				return err
			}
			reply, err := c.receive(stream)
			if err := errors.Join(err, same(reply, text, nil, i)); err != nil {
				return err
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		return c.expect(stream, "", nil, 0)
	}},
	{"error", func(ctx context.Context, c *client) error {
		_, err := c.unary(ctx, request{Text: "x", FailReason: "THING_NOT_FOUND"})
		return isReason(err, codes.NotFound, "THING_NOT_FOUND", "x")
	}},
	{"error-unmapped", func(ctx context.Context, c *client) error {
		_, err := c.unary(ctx, request{Text: "x", FailReason: "TEAPOT"})
		return isReason(err, codes.Unknown, "TEAPOT", "x")
	}},
	{"error-text", func(ctx context.Context, c *client) error {
		text := "böse 100% \r\n\t✓"
		_, err := c.unary(ctx, request{Text: text, FailReason: "THING_NOT_FOUND"})
		return isReason(err, codes.NotFound, "THING_NOT_FOUND", text)
	}},
	{"error-stream", func(ctx context.Context, c *client) error {
		stream, err := c.call(ctx, "ServerStream", request{Text: "e", Count: 2, FailReason: "QUOTA_EXHAUSTED"})
		if err != nil {
			return err
		}
		replies, err := c.drain(stream)
		if len(replies) != 2 {
			return fmt.Errorf("expected 2 replies before the error, got %d (%v)", len(replies), err)
		}
		return isReason(err, codes.ResourceExhausted, "QUOTA_EXHAUSTED", "e")
	}},
	{"deadline", func(ctx context.Context, c *client) error {
		text := unique("deadline")
		short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		defer stop()
		_, err := c.unary(short, request{Text: text, DelayMs: 60_000})
		return errors.Join(hasCode(err, codes.DeadlineExceeded), c.interrupted(ctx, text))
	}},
	{"cancel", func(ctx context.Context, c *client) error {
		text := unique("cancel")
		short, stop := context.WithCancel(ctx)
		time.AfterFunc(200*time.Millisecond, stop)
		_, err := c.unary(short, request{Text: text, DelayMs: 60_000})
		return errors.Join(hasCode(err, codes.Canceled), c.interrupted(ctx, text))
	}},
	{"cancel-stream", func(ctx context.Context, c *client) error { return c.cancelAfterTwo(ctx, "ServerStream") }},
	{"cancel-bidi", func(ctx context.Context, c *client) error { return c.cancelAfterTwo(ctx, "Bidi") }},
	{"metadata", func(ctx context.Context, c *client) error {
		raw := string(pattern(256))
		outgoing := metadata.NewOutgoingContext(ctx, metadata.Pairs("x-one", "a b", "x-many", "1", "x-many", "2", "x-raw-bin", raw))
		var header, trailer metadata.MD
		reply, err := c.unary(outgoing, request{EchoMetadata: []string{"x-one", "x-many", "x-raw-bin", "x-none"}}, grpc.Header(&header), grpc.Trailer(&trailer))
		if err != nil {
			return err
		}
		// HTTP lets a peer join the lines of a header, with or without a space
		if reply.Metadata["x-one"] != "a b" || strings.ReplaceAll(reply.Metadata["x-many"], ", ", ",") != "1,2" || len(reply.Metadata["x-raw-bin"]) != 342 || len(reply.Metadata) != 3 {
			return fmt.Errorf("the handler saw %v", reply.Metadata)
		}
		for place, md := range map[string]metadata.MD{"echo-": header, "trailer-": trailer} {
			one, many, bin := md.Get(place+"x-one"), md.Get(place+"x-many"), md.Get(place+"x-raw-bin")
			if !slices.Equal(one, []string{"a b"}) || strings.ReplaceAll(strings.Join(many, ","), ", ", ",") != "1,2" || !slices.Equal(bin, []string{raw}) {
				return fmt.Errorf("%s metadata is %q", place, md)
			}
		}
		return nil
	}},
	{"gzip", func(ctx context.Context, c *client) error {
		payload := bytes.Repeat([]byte("compressible "), 10_000)
		reply, err := c.unary(ctx, request{Text: "z", Payload: payload}, grpc.UseCompressor(gzip.Name))
		return errors.Join(err, same(reply, "z", payload, 0))
	}},
	{"gzip-reply", func(ctx context.Context, c *client) error {
		_, err := c.unary(ctx, request{Text: "z", Payload: make([]byte, 100_000)}, grpc.UseCompressor(gzip.Name))
		if err != nil {
			return err
		}
		if encoding := c.encoding.Load(); encoding != gzip.Name {
			return fmt.Errorf("the reply to a compressed request came with encoding %q", encoding)
		}
		return nil
	}},
	{"large", func(ctx context.Context, c *client) error {
		reply, err := c.unary(ctx, request{Text: "1 MiB", Payload: pattern(1 << 20)})
		return errors.Join(err, same(reply, "1 MiB", pattern(1<<20), 0))
	}},
	{"oversize", func(ctx context.Context, c *client) error {
		_, err := c.unary(ctx, request{Payload: pattern(5 << 20)})
		if err := hasCode(err, codes.ResourceExhausted); err != nil {
			return err
		}
		reply, err := c.unary(ctx, request{Text: "still there"})
		return errors.Join(err, same(reply, "still there", nil, 0))
	}},
	{"unknown-method", func(ctx context.Context, c *client) error {
		return hasCode(c.conn.Invoke(ctx, "/test.v1.Echo/Nope", c.contract.NewRequest(), c.contract.NewReply()), codes.Unimplemented)
	}},
	{"unknown-service", func(ctx context.Context, c *client) error {
		return hasCode(c.conn.Invoke(ctx, "/test.v1.Nope/Unary", c.contract.NewRequest(), c.contract.NewReply()), codes.Unimplemented)
	}},
	{"health", func(ctx context.Context, c *client) error {
		health := grpc_health_v1.NewHealthClient(c.conn)
		for _, name := range []string{"", contract.Service} {
			reply, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: name})
			if err != nil || reply.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
				return fmt.Errorf("%q is %v (%v)", name, reply.GetStatus(), err)
			}
		}
		_, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "test.v1.Nope"})
		return hasCode(err, codes.NotFound)
	}},
}

func (c *client) expect(stream grpc.ClientStream, text string, payload []byte, count int) error {
	replies, err := c.drain(stream)
	if err == nil && len(replies) != count {
		err = fmt.Errorf("expected %d replies, got %d", count, len(replies))
	}
	for i, reply := range replies {
		err = errors.Join(err, same(reply, text, payload, i))
	}
	return err
}

func (c *client) expectOne(stream grpc.ClientStream, text string, payload []byte, index int) error {
	replies, err := c.drain(stream)
	if err != nil {
		return err
	}
	if len(replies) != 1 {
		return fmt.Errorf("expected one reply, got %d", len(replies))
	}
	return same(replies[0], text, payload, index)
}

// cancelAfterTwo leaves a stream that would go on for a minute after its second reply.
func (c *client) cancelAfterTwo(ctx context.Context, method string) error {
	text := unique(method)
	short, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := c.call(short, method, request{Text: text, Count: 3000, DelayMs: 20})
	if err != nil {
		return err
	}
	for range 2 {
		if _, err := c.receive(stream); err != nil {
			return err
		}
	}
	stop()
	_, err = c.drain(stream)
	return errors.Join(hasCode(err, codes.Canceled), c.interrupted(ctx, text))
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: client HOST:PORT [CASE ...]")
	}
	loaded, err := contract.Load()
	if err != nil {
		log.Fatal(err)
	}
	c := &client{contract: loaded}
	c.encoding.Store("")
	c.conn, err = grpc.NewClient("passthrough:///"+os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(c))
	if err != nil {
		log.Fatal(err)
	}
	failed := false
	for _, each := range cases {
		if names := os.Args[2:]; len(names) > 0 && !slices.Contains(names, each.name) {
			continue
		}
		ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
		if err := each.run(ctx, c); err != nil {
			failed = true
			fmt.Printf("FAIL %s %.300s\n", each.name, strings.ReplaceAll(err.Error(), "\n", "; "))
		} else {
			fmt.Printf("ok %s\n", each.name)
		}
		stop()
	}
	if failed {
		os.Exit(1)
	}
}
