// A TLS 1.3 peer that sends bytes in place of its certificates, which OpenSSL and Node would not. Usage:
//
//	odd-peer call HOST:PORT ALPN KEY.pem HEX...   connects, prints what comes, ends with the connection
//	odd-peer serve ALPN KEY.pem HEX...            prints the port that it listens on, greets whoever gets through
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	var err error
	switch os.Args[1] {
	case "call":
		err = call(os.Args[2], config(os.Args[3:]))
	case "serve":
		err = serve(config(os.Args[2:]))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func config(args []string) *tls.Config {
	own := &tls.Certificate{PrivateKey: readKey(args[1])}
	for _, text := range args[2:] {
		der, err := hex.DecodeString(text)
		if err != nil {
			panic(err)
		}
		own.Certificate = append(own.Certificate, der)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{args[0]},
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return own, nil
		},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return own, nil
		},
	}
}

func readKey(file string) any {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return key
}

func call(address string, config *tls.Config) error {
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, connection)
	return err
}

func serve(config *tls.Config) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		raw, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			connection := tls.Server(raw, config)
			fmt.Fprint(connection, "peer")
			io.Copy(io.Discard, connection)
			connection.Close()
		}()
	}
}
